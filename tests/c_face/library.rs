//! The library under test, built as its users build it. `cargo test` makes no `.so` and no `.a`, so this does.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::tools::{emulated, run, tool};

/// The files of one build.
pub(crate) struct Library {
    /// `libravelin.so`, as cargo leaves it.
    pub(crate) so: PathBuf,
    /// The archive that is given away: one object, only the intended names.
    pub(crate) a: PathBuf,
    /// That object.
    pub(crate) o: PathBuf,
    /// A folder of this build's own, for what the tests make.
    pub(crate) folder: PathBuf,
}

/// The names that the library exports, from the list beside its sources.
pub(crate) fn intended_names() -> Vec<String> {
    let list = fs::read_to_string(list_of_names()).expect("libravelin/exports.txt");
    list.lines().map(str::to_owned).collect()
}

fn list_of_names() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("libravelin/exports.txt")
}

/// `libravelin.so` without optimisation, hardened.
pub(crate) fn debug_library() -> PathBuf {
    build("dev", "", &library().folder.join("debug")).join("libravelin.so")
}

/// The library with the same defences as this test's own copy of the engine, or with those that `RAVELIN_TEST_FEATURES` (cargo arguments) names.
/// Built once in a process.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let features = std::env::var("RAVELIN_TEST_FEATURES").unwrap_or_else(|_| same_features());
        let name: String = features.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c_face-{ARCH}{name}"));
        let built = build("release", &features, &folder.join("target"));
        let (o, a) = single_object(&built.join("libravelin.a"), &folder);
        Library { so: built.join("libravelin.so"), a, o, folder }
    })
}

/// The cargo arguments that give the defences of the engine linked into this test.
fn same_features() -> String {
    let in_force = ravelin::MITIGATIONS;
    match in_force.build_name() {
        "hardened" => String::new(),
        "paranoid" => String::from("--features paranoid"),
        _ => {
            let mut arguments = String::from("--no-default-features");
            for (feature, _) in in_force.list().into_iter().filter(|(_, on)| *on) {
                arguments += &format!(" --features {feature}");
            }
            arguments
        }
    }
}

/// `cargo build`, in a target directory of its own: a feature enabled here must not reach other builds. Returns the folder of the results.
fn build(profile: &str, features: &str, target: &Path) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("LD_PRELOAD");
    cargo.args(["build", "--quiet", "--profile", profile, "--package", "libravelin", "--target-dir"]).arg(target);
    cargo.args(features.split_whitespace());
    let mut results = target.to_owned();
    if emulated() {
        let triple = format!("{ARCH}-unknown-linux-gnu");
        cargo.args(["--target", &triple]);
        let linker = format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace('-', "_"));
        cargo.env(linker, format!("{ARCH}-linux-gnu-gcc"));
        results.push(triple);
    }
    // Under a filter that cargo itself cannot stand these tests were run without it before.
    if std::env::var_os("TEST_LIBRARY_IS_BUILT").is_none() {
        run(&mut cargo);
    }
    results.join(if profile == "dev" { "debug" } else { profile })
}

/// What `libravelin/README.md` says about the archive: one object, of which only the intended names can be seen. Operators are weak in it.
fn single_object(archive: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    let (object, made) = (folder.join("ravelin.o"), folder.join("libravelin.a"));
    let mut link = tool("ld");
    link.args(["-r", "-o"]).arg(&object);
    let mut copy = tool("objcopy");
    copy.arg(format!("--keep-global-symbols={}", list_of_names().display()));
    for name in intended_names() {
        if name.starts_with("_Z") {
            copy.arg(format!("--weaken-symbol={name}"));
        }
        link.args(["-u", &name]);
    }
    run(link.arg(archive));
    run(copy.arg(&object));
    let _ = fs::remove_file(&made);
    run(tool("ar").arg("crs").arg(&made).arg(&object));
    (object, made)
}
