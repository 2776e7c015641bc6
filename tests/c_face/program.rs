//! A small program in C or C++, and the ways in which it can come to run on the library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::library::library;
use super::tools::{output, run, source, start, text, tool};

/// How the library comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// It does not come in at the start.
    Absent,
    /// The program knows nothing of it: `LD_PRELOAD`.
    Preloaded,
    /// Linked, `libravelin.so`.
    Shared,
    /// Linked, `libravelin.a`.
    Static,
}

/// How the C++ runtime comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Runtime {
    /// There is none: a program in C.
    None,
    /// `libstdc++.so.6`.
    Shared,
    /// `-static-libstdc++`.
    Static,
}

/// All ways.
pub(crate) const WAYS: [Way; 3] = [Way::Preloaded, Way::Shared, Way::Static];

/// A compiled program.
pub(crate) struct Program {
    way: Way,
    file: PathBuf,
}

impl Program {
    /// Compiles and links one source. `more` is given to the linker's command after it.
    pub(crate) fn build(name: &str, way: Way, runtime: Runtime, more: &[&Path]) -> Self {
        let lib = library();
        let folder = lib.folder.join("programs");
        fs::create_dir_all(&folder).expect("a folder for programs");
        let file = folder.join(format!("{name}-{way:?}-{runtime:?}"));
        let mut command = compiler(name);
        command.arg(source(name)).arg("-o").arg(&file).args(more);
        if runtime == Runtime::Static {
            command.args(["-static-libstdc++", "-static-libgcc"]);
        }
        match way {
            Way::Absent | Way::Preloaded => {}
            Way::Shared => {
                let folder = lib.so.parent().expect("a file in a folder");
                // A program that calls nothing of it by name still wants it.
                command
                    .arg("-Wl,--no-as-needed")
                    .arg("-L")
                    .arg(folder)
                    .arg("-l:libravelin.so")
                    .arg(format!("-Wl,-rpath,{}", folder.display()));
            }
            Way::Static => {
                command.arg(&lib.a);
            }
        }
        run(command.args(["-Wl,--fatal-warnings", "-pthread", "-ldl"]));
        Self { way, file }
    }

    /// The command that starts it under another build of the library.
    pub(crate) fn start(&self, so: &Path) -> Command {
        start(&self.file, Some(so))
    }

    /// Starts it with arguments and waits for its end.
    pub(crate) fn output(&self, arguments: &[&Path]) -> Output {
        let preload = (self.way == Way::Preloaded).then_some(library().so.as_path());
        output(start(&self.file, preload).args(arguments))
    }

    /// Starts it; it must find nothing to say.
    pub(crate) fn holds(&self, arguments: &[&Path]) {
        let output = self.output(arguments);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(output.status.success() && said.is_empty(), "{}: {}\n{said}", self.file.display(), output.status);
    }
}

/// Builds a shared library that knows nothing of Ravelin.
pub(crate) fn plugin(name: &str) -> PathBuf {
    let file = library().folder.join(format!("{name}.so"));
    run(compiler(name).args(["-shared", "-fPIC"]).arg(source(name)).arg("-o").arg(&file));
    file
}

/// The program in every way, in C without and in C++ with both kinds of runtime.
pub(crate) fn holds_in_every_way(name: &str, arguments: &[&Path]) {
    for way in WAYS {
        if name.ends_with(".c") {
            Program::build(name, way, Runtime::None, &[]).holds(arguments);
        } else {
            Program::build(name, way, Runtime::Shared, &[]).holds(arguments);
            Program::build(name, way, Runtime::Static, &[]).holds(arguments);
        }
    }
}

/// The compiler of a source's language. It must not know what `malloc` and `new` mean, or it leaves calls of them out. What it would
/// warn of (sizes that cannot be, a block used after a `realloc` that failed) is what the programs are for.
fn compiler(name: &str) -> Command {
    let mut command = if name.ends_with(".c") {
        let mut command = tool("cc");
        command.args(["-std=gnu11", "-O1", "-fno-builtin"]);
        command
    } else {
        let mut command = tool("c++");
        command.args(["-std=c++17", "-O0"]);
        command
    };
    command.args(["-g1", "-w"]);
    command
}
