//! mimalloc's own test programs, built against what we install in its place.
//!
//! Their sources are not here: they are taken from a crate that has all of mimalloc 2.1.2, as it was published. Nothing of it is
//! compiled but the tests, which also want one private header (for the names of some limits).

use std::path::Path;

use anyhow::Result;

use crate::builds::Build;
use crate::{install, published, shell};

/// The crate and its version.
const SOURCE: [&str; 2] = ["cesium-libmimalloc-sys", "2.1.2"];

/// Programs that their own CMake file makes: it finds mimalloc's package, and takes the library, the archive and the object.
const BY_CMAKE: [&str; 6] = [
    "dynamic-override",
    "dynamic-override-cxx",
    "static-override-obj",
    "static-override-static",
    "static-override",
    "static-override-cxx",
];

/// Programs that come without, their language and their arguments.
const BY_HAND: [(&str, Language, &[&str]); 5] = [
    ("test-api.c", Language::C, &[]),
    ("test-api.c", Language::Cxx, &[]),
    ("test-api-fill.c", Language::C, &[]),
    ("test-stress.c", Language::C, &["8", "10", "20"]),
    ("main.c", Language::C, &[]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    C,
    /// The same source, as C++.
    Cxx,
}

pub fn run() -> Result<()> {
    let scratch = shell::target_dir()?.join("mimalloc-tests");
    let mimalloc = published::sources(SOURCE, &scratch.join("source"))?.join("mimalloc-src");
    for build in Build::all()?.into_iter().chain([Build::Debug]) {
        let folder = scratch.join(build.name());
        let prefix = folder.join("prefix");
        install::run(&install::Args::everything(prefix.clone(), &[build]))?;
        by_cmake(&mimalloc, &folder, &prefix)?;
        by_hand(&mimalloc, &folder, &prefix, build)?;
        println!("mimalloc's tests pass with the {} build", build.name());
    }
    Ok(())
}

fn by_cmake(mimalloc: &Path, folder: &Path, prefix: &Path) -> Result<()> {
    let built = folder.join("cmake");
    let mut cmake = shell::command("cmake");
    cmake.arg("-S").arg(mimalloc.join("test")).arg("-B").arg(&built);
    cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())).arg("-Wno-dev");
    // They link the object and say nothing of what it needs itself.
    cmake.arg("-DCMAKE_EXE_LINKER_FLAGS=-ldl");
    shell::run_quietly(&mut cmake)?;
    let mut build = shell::command("cmake");
    shell::run_quietly(build.arg("--build").arg(&built).args(["--parallel", "2", "--target"]).args(BY_CMAKE))?;
    BY_CMAKE.iter().try_for_each(|program| shell::run_quietly(&mut shell::command(built.join(program))))
}

fn by_hand(mimalloc: &Path, folder: &Path, prefix: &Path, build: Build) -> Result<()> {
    let lib = prefix.join("lib");
    let forms = [".so", ".a", ".o"].map(|ending| lib.join(format!("{}{ending}", build.library())));
    for (source, language, arguments) in BY_HAND {
        for (form, library) in forms.iter().enumerate() {
            let program = folder.join(format!("{source}-{form}"));
            let mut compiler = shell::command(if language == Language::C { "cc" } else { "c++" });
            compiler.args(["-O1", "-w", "-DMI_DEBUG=0", "-I"]).arg(prefix.join("include"));
            compiler.arg("-idirafter").arg(mimalloc.join("include")).arg("-o").arg(&program);
            compiler.args(if language == Language::C { ["-x", "c"] } else { ["-x", "c++"] });
            compiler.arg(mimalloc.join("test").join(source)).args(["-x", "none", "-Wl,--no-as-needed"]).arg(library);
            compiler.args(["-pthread", "-ldl"]).arg(format!("-Wl,-rpath,{}", lib.display()));
            shell::run_quietly(&mut compiler)?;
            shell::run_quietly(shell::command(&program).args(arguments))?;
        }
    }
    Ok(())
}
