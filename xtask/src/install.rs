//! Installing: libraries, headers, and what CMake, pkg-config and man want to know of them.
//!
//! ```text
//! PREFIX/lib/libravelin.so.0.1.0  .so.0  .so      the same with -fast, -paranoid, -debug for the other builds
//!            libravelin.a  libravelin.o           archive, and object for static override; also mimalloc.o
//!            cmake/ravelin/  cmake/mimalloc/      find_package(ravelin), find_package(mimalloc)
//!            pkgconfig/ravelin.pc  mimalloc.pc
//! PREFIX/include/ravelin.h  mimalloc.h  mimalloc-override.h  mimalloc-new-delete.h
//! PREFIX/share/man/man3/ravelin.3
//! ```
//!
//! The texts are in `libravelin/packaging`; `@NAME@` in them is replaced.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::builds::{Build, version};
use crate::{dist, shell};

#[derive(clap::Args)]
pub struct Args {
    /// Where the files will be found
    #[arg(long, default_value = "/usr/local")]
    prefix: PathBuf,
    /// The folder of libraries under it; Debian's is lib/x86_64-linux-gnu
    #[arg(long, default_value = "lib")]
    libdir: PathBuf,
    /// Which builds of the library: hardened, fast, paranoid, debug, valgrind
    #[arg(long, value_delimiter = ',', default_value = "hardened")]
    builds: Vec<String>,
    /// Leave out what bears mimalloc's name for CMake and pkg-config
    #[arg(long)]
    without_mimalloc: bool,
    /// Also link libmimalloc.so.2 to the library, for programs that were linked with mimalloc
    #[arg(long)]
    mimalloc_soname: bool,
}

impl Args {
    /// For the tests of what is installed.
    pub fn everything(prefix: PathBuf, builds: &[Build]) -> Args {
        let builds = builds.iter().map(|build| build.name().to_owned()).collect();
        Args { prefix, libdir: "lib".into(), builds, without_mimalloc: false, mimalloc_soname: true }
    }

    /// What goes into a distribution's packages.
    pub fn distributed(libdir: &str, builds: &[Build]) -> Args {
        let everything = Args::everything("/usr".into(), builds);
        Args { libdir: libdir.into(), mimalloc_soname: false, ..everything }
    }
}

/// The headers that are installed.
const HEADERS: [&str; 4] = ["ravelin.h", "mimalloc.h", "mimalloc-override.h", "mimalloc-new-delete.h"];

pub fn run(args: &Args) -> Result<()> {
    match std::env::var_os("DESTDIR") {
        Some(destination) => under(Path::new(&destination), args),
        None => lay(&std::path::absolute(&args.prefix)?, args),
    }
}

/// For packagers: the files are laid under a folder, and know nothing of it.
pub fn under(destination: &Path, args: &Args) -> Result<()> {
    lay(&destination.join(args.prefix.strip_prefix("/").unwrap_or(&args.prefix)), args)
}

fn lay(root: &Path, args: &Args) -> Result<()> {
    let builds = args.builds.iter().map(|name| by_name(name)).collect::<Result<Vec<_>>>()?;
    let Some(first) = builds.first() else { bail!("no build to install") };
    let lib = root.join(&args.libdir);
    let write = |template: &str, to: &Path, build: Build| {
        let up = args.libdir.iter().map(|_| "..").collect::<Vec<_>>().join("/");
        let libdir = args.libdir.display().to_string();
        write(template, to, build, &[("@LIBDIR@", libdir), ("@UP@", up)])
    };
    for build in &builds {
        dist::lay(*build, &lib)?;
        write("package.cmake", &lib.join(format!("cmake/ravelin/ravelin-build-{}.cmake", build.name())), *build)?;
        write("package.pc", &lib.join(format!("pkgconfig/{}.pc", pc_name(*build))), *build)?;
    }
    for header in HEADERS {
        copy(&format!("include/{header}"), &root.join("include").join(header))?;
    }
    write("ravelin-config.cmake", &lib.join("cmake/ravelin/ravelin-config.cmake"), *first)?;
    write("ravelin-config-version.cmake", &lib.join("cmake/ravelin/ravelin-config-version.cmake"), *first)?;
    write("ravelin.3", &root.join("share/man/man3/ravelin.3"), *first)?;
    if !args.without_mimalloc {
        write("mimalloc-config.cmake", &lib.join("cmake/mimalloc/mimalloc-config.cmake"), *first)?;
        write("mimalloc-config-version.cmake", &lib.join("cmake/mimalloc/mimalloc-config-version.cmake"), *first)?;
        // Programs link `${MIMALLOC_OBJECT_DIR}/mimalloc.o` by this name.
        dist::link(&lib.join(first.library()).with_extension("o"), &lib.join("mimalloc.o"))?;
        write("mimalloc.pc", &lib.join("pkgconfig/mimalloc.pc"), *first)?;
    }
    if args.mimalloc_soname {
        dist::link(&lib.join(first.soname()?), &lib.join("libmimalloc.so.2"))?;
    }
    println!("installed under {}", root.display());
    Ok(())
}

fn by_name(name: &str) -> Result<Build> {
    let known = Build::all()?.into_iter().chain([Build::Debug, Build::Valgrind]);
    known.into_iter().find(|build| build.name() == name).with_context(|| format!("there is no build {name}"))
}

fn pc_name(build: Build) -> &'static str {
    build.library().trim_start_matches("lib")
}

fn copy(from: &str, to: &Path) -> Result<()> {
    let from = shell::root().join("libravelin").join(from);
    let text = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
    store(to, &text)
}

/// A text of the packaging folder with its words filled in: those that hold for a build, and others.
pub fn write(template: &str, to: &Path, build: Build, others: &[(&str, String)]) -> Result<()> {
    let from = shell::root().join("libravelin/packaging").join(template);
    let text = fs::read_to_string(&from).with_context(|| format!("cannot read {}", from.display()))?;
    let suffix = build.library().trim_start_matches("libravelin");
    let words = [
        ("@VERSION@", version()?),
        ("@LIBRARY@", build.library().to_owned()),
        ("@NAME@", pc_name(build).to_owned()),
        ("@BUILD@", build.name().to_owned()),
        ("@SUFFIX@", suffix.to_owned()),
        ("@SONAME@", build.soname()?),
    ];
    let filled = words.iter().chain(others).fold(text, |text, (word, value)| text.replace(word, value));
    store(to, filled.as_bytes())
}

fn store(to: &Path, text: &[u8]) -> Result<()> {
    let folder = to.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}
