//! How libraries that override malloc are made from the sources that crates bring, with the options of their own builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// From the crate's folder to the library.
pub type Recipe = fn(&Path, &Path) -> Result<()>;

fn compiler(name: &str) -> Result<Command> {
    let mut compiler = Command::new(shell::program(name, "gcc g++")?);
    compiler.args(["-fPIC", "-shared", "-DNDEBUG", "-ftls-model=initial-exec"]);
    Ok(compiler)
}

pub fn mimalloc(from: &Path, to: &Path, secure: u32) -> Result<()> {
    let mut gcc = compiler("gcc")?;
    gcc.args(["-O3", "-fno-builtin-malloc", "-DMI_MALLOC_OVERRIDE", "-DMI_SHARED_LIB", "-DMI_SHARED_LIB_EXPORT"]);
    gcc.arg(format!("-DMI_SECURE={secure}"));
    gcc.current_dir(from).args(["-Iinclude", "src/static.c", "-lpthread", "-o"]).arg(to);
    shell::quietly(&mut gcc).map(drop)
}

pub fn snmalloc(from: &Path, to: &Path, options: &[&str]) -> Result<()> {
    let mut gxx = compiler("g++")?;
    gxx.args(["-O3", "-std=c++20", "-fno-rtti", "-fomit-frame-pointer", "-fvisibility=hidden", "-static-libstdc++"]);
    if cfg!(target_arch = "x86_64") {
        gxx.args(["-mcx16", "-mprfchw"]);
    }
    gxx.args(["-DSNMALLOC_USE_CXX11_THREAD_ATEXIT_DIRECT", "-DSNMALLOC_USE_WAIT_ON_ADDRESS=1"]);
    gxx.args(["-DSNMALLOC_CHECK_LOADS=false", "-DSNMALLOC_PAGEID=false"]);
    gxx.arg(r#"-DSNMALLOC_EXPORT=__attribute__((visibility("default")))"#).args(options);
    gxx.current_dir(from.join("upstream/src")).arg("-I.");
    gxx.args(["snmalloc/override/malloc.cc", "snmalloc/override/new.cc", "-o"]).arg(to);
    shell::quietly(&mut gxx).map(drop)
}

pub fn hardened_malloc(from: &Path, to: &Path, variant: &str) -> Result<()> {
    let folder = copy(&from.join("src/hardened_malloc"), &format!("hardened-malloc-{variant}"))?;
    let mut make = Command::new(shell::program("make", "make gcc g++")?);
    // For any machine of the architecture, as the others are; no compiler's new warning is an error.
    make.current_dir(&folder).args(["CONFIG_NATIVE=false", "CONFIG_WERROR=false", "OUT=out"]);
    shell::quietly(make.arg(format!("VARIANT={variant}")))?;
    let found = library_in(&folder, |name| name.starts_with("libhardened_malloc"))?;
    fs::copy(found, to).context("copying the library").map(drop)
}

pub fn scudo(from: &Path, to: &Path) -> Result<()> {
    let folder = from.join("scudo-standalone");
    let mut gxx = compiler("g++")?;
    gxx.args(["-O2", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-builtin", "-Wno-attributes"]);
    if cfg!(target_arch = "x86_64") {
        gxx.arg("-msse4.2");
    }
    gxx.current_dir(&folder).args(["-I.", "-Iinclude"]);
    let other_systems = ["wrappers_c_bionic.cpp", "fuchsia.cpp", "trusty.cpp"];
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".cpp") && !other_systems.contains(&name.as_str()) {
            gxx.arg(name);
        }
    }
    shell::quietly(gxx.arg("-lpthread").arg("-o").arg(to)).map(drop)
}

pub fn isoalloc(from: &Path, to: &Path) -> Result<()> {
    let folder = copy(&from.join("isoalloc"), "isoalloc")?;
    let mut make = Command::new(shell::program("make", "make gcc g++")?);
    shell::quietly(make.current_dir(&folder).args(["library", "CC=gcc", "CXX=g++"]))?;
    fs::copy(folder.join("build/libisoalloc.so"), to).context("copying the library").map(drop)
}

/// The crate's archive holds everything but the file that overrides malloc, and in its stead a bridge to Rust.
pub fn tcmalloc(from: &Path, to: &Path) -> Result<()> {
    let package = shell::bench_dir().join("peers/tcmalloc/Cargo.toml");
    shell::quietly(shell::cargo(&package).args(["build", "--release", "--quiet"]))?;
    let build = shell::work_dir().join("release/build");
    let archives = fs::read_dir(&build)?.filter_map(|entry| Some(entry.ok()?.path().join("out/libtcmalloc.a")));
    let archive = archives.filter(|path| path.exists()).last().context("the crate has built no libtcmalloc.a")?;
    let ours = to.with_extension("a");
    fs::copy(archive, &ours)?;
    let members = shell::quietly(Command::new("ar").arg("t").arg(&ours))?;
    for bridge in members.lines().filter(|name| name.contains("bridge")) {
        shell::quietly(Command::new("ar").arg("d").arg(&ours).arg(bridge))?;
    }
    let mut gxx = compiler("g++")?;
    gxx.args(["-O2", "-std=c++17", "-w", "-fno-canonical-system-headers", "-DTCMALLOC_INTERNAL_8K_PAGES"]);
    gxx.current_dir(from.join("c_src")).args(["-Iabseil-cpp", "-Itcmalloc", "tcmalloc/tcmalloc/tcmalloc.cc"]);
    gxx.arg("-Wl,--whole-archive").arg(&ours).args(["-Wl,--no-whole-archive", "-lpthread", "-o"]).arg(to);
    shell::quietly(&mut gxx)?;
    fs::remove_file(ours).context("removing the archive")
}

/// A library of the distribution: the installed one, or the package's, downloaded and unpacked here.
pub fn debian(package: &str, file: &str) -> Result<PathBuf> {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let installed = Path::new("/usr/lib").join(&triple).join(file);
    if installed.exists() {
        return Ok(installed);
    }
    let folder = shell::work_dir().join("debian");
    let unpacked = folder.join("unpacked/usr/lib").join(&triple).join(file);
    if !unpacked.exists() {
        fs::create_dir_all(&folder)?;
        shell::quietly(Command::new("apt-get").current_dir(&folder).args(["download", "--quiet", package]))
            .with_context(|| format!("apt-get install {package}"))?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{package}_"))) {
                shell::quietly(Command::new("dpkg-deb").arg("--extract").arg(path).arg(folder.join("unpacked")))?;
            }
        }
    }
    if !unpacked.exists() {
        bail!("{package} has no {file}");
    }
    Ok(unpacked)
}

/// A copy to build in: the registry's own sources stay as they are.
fn copy(from: &Path, name: &str) -> Result<PathBuf> {
    let to = shell::work_dir().join("sources").join(name);
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to)?;
    shell::quietly(Command::new("cp").arg("-r").arg(from.join(".")).arg(&to))?;
    Ok(to)
}

fn library_in(folder: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
    for sub in fs::read_dir(folder)? {
        let sub = sub?.path();
        for entry in fs::read_dir(&sub).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".so") && fits(&name) {
                return Ok(entry.path());
            }
        }
    }
    bail!("no library was built in {}", folder.display())
}
