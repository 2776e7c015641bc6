//! The allocators. Each is a library that can be preloaded, compiled here from the sources that its crate brings, and a program of
//! the shapes with the crate as its global allocator (the packages in `bench/peers`).

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::rounds::Size;
use crate::shell;

/// What everything is compared with: mimalloc 2.1.7, as libmimalloc-sys 0.1.39 brings it.
pub const BASELINE: &str = "mimalloc";
/// The builds of Ravelin.
pub const OURS: [&str; 3] = ["fast", "hardened", "paranoid"];
/// Those that a quick run is about.
const NEAREST: [&str; 2] = [BASELINE, "mimalloc-secure"];

/// A peer that is ready to run.
pub struct Peer {
    pub name: String,
    /// Preloaded; the system's own allocator needs none.
    pub library: Option<PathBuf>,
    /// Whether it can be had for programs that call malloc.
    pub preloads: bool,
    /// The shapes with it as global allocator.
    pub program: Option<PathBuf>,
}

impl Peer {
    /// Changes whenever the library or the program does.
    pub fn fingerprint(&self) -> String {
        let mut hasher = DefaultHasher::new();
        for file in self.library.iter().chain(&self.program) {
            fs::read(file).unwrap_or_default().hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

/// How a peer is had.
struct Known {
    name: &'static str,
    what: &'static str,
    library: Library,
}

enum Library {
    /// The C library's own.
    System,
    /// Given by the caller, who builds it.
    Ours,
    /// From the sources of this crate, a dependency of the peer's package.
    Sources { package: &'static str, compile: fn(&Path, &Path) -> Result<()> },
}

use Library::{Ours, Sources, System};

const KNOWN: &[Known] = &[
    Known {
        name: BASELINE,
        what: "mimalloc 2.1.7, the baseline",
        library: Sources {
            package: "libmimalloc-sys",
            compile: |from, to| mimalloc(&from.join("c_src/mimalloc"), to, 0),
        },
    },
    Known {
        name: "mimalloc-secure",
        what: "mimalloc 2.1.7, MI_SECURE=4",
        library: Sources {
            package: "libmimalloc-sys",
            compile: |from, to| mimalloc(&from.join("c_src/mimalloc"), to, 4),
        },
    },
    Known { name: "fast", what: "Ravelin without mitigations", library: Ours },
    Known { name: "hardened", what: "Ravelin, the default build", library: Ours },
    Known { name: "paranoid", what: "Ravelin with every mitigation", library: Ours },
    Known { name: "system", what: "the C library's malloc", library: System },
];

pub fn list() {
    println!("allocators:");
    for known in KNOWN {
        println!("  {:26} {}", known.name, known.what);
    }
}

/// Those that are ready, and those that could not be had.
pub struct Chosen {
    pub ready: Vec<Peer>,
    pub missing: Vec<(String, String)>,
}

pub fn choose(size: Size, wanted: &[String], ours: &[(String, PathBuf)], more: &[(String, PathBuf)]) -> Result<Chosen> {
    if let Some(unknown) = wanted.iter().find(|name| !KNOWN.iter().any(|known| known.name == **name)) {
        bail!("no allocator {unknown}; --list tells them");
    }
    let mut chosen = Chosen { ready: Vec::new(), missing: Vec::new() };
    for known in KNOWN {
        let usual = match size {
            Size::Full => true,
            Size::Quick => NEAREST.contains(&known.name) || OURS.contains(&known.name),
            Size::Smoke => known.name == BASELINE || OURS.contains(&known.name),
        };
        if known.name != BASELINE
            && if wanted.is_empty() { !usual } else { !wanted.iter().any(|name| name == known.name) }
        {
            continue;
        }
        if let (Ours, None) = (&known.library, ours.iter().find(|(name, _)| name == known.name)) {
            continue;
        }
        match known.ready(ours) {
            Ok(peer) => chosen.ready.push(peer),
            Err(error) if known.name == BASELINE || OURS.contains(&known.name) => return Err(error),
            Err(error) => {
                eprintln!("without {}: {error:#}", known.name);
                chosen
                    .missing
                    .push((known.name.to_owned(), format!("{error:#}").lines().next().unwrap_or("").to_owned()));
            }
        }
    }
    for (name, path) in more {
        chosen.ready.push(Peer { name: name.clone(), library: Some(path.clone()), preloads: true, program: None });
    }
    Ok(chosen)
}

impl Known {
    fn package(&self) -> PathBuf {
        let folder = if OURS.contains(&self.name) { format!("ravelin-{}", self.name) } else { self.name.to_owned() };
        shell::bench_dir().join("peers").join(folder).join("Cargo.toml")
    }

    fn ready(&self, ours: &[(String, PathBuf)]) -> Result<Peer> {
        let library = match &self.library {
            System => None,
            Ours => ours.iter().find(|(name, _)| name == self.name).map(|(_, path)| path.clone()),
            Sources { package, compile } => Some(self.compiled(package, *compile)?),
        };
        let program = self.program().with_context(|| format!("{} as global allocator", self.name))?;
        Ok(Peer { name: self.name.to_owned(), library, preloads: true, program })
    }

    /// The library, compiled when there is none yet.
    fn compiled(&self, package: &str, compile: fn(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
        let folder = shell::work_dir().join("libraries");
        fs::create_dir_all(&folder)?;
        let library = folder.join(self.name).with_extension("so");
        let sources = sources(&self.package(), package)?;
        // Another version of the crate lies in another folder: then it is compiled anew.
        let (mark, origin) = (library.with_extension("from"), sources.display().to_string());
        if library.exists() && fs::read_to_string(&mark).is_ok_and(|text| text == origin) {
            return Ok(library);
        }
        eprintln!("compiling {}", self.name);
        let fresh = library.with_extension("new");
        compile(&sources, &fresh).with_context(|| format!("compiling {}", self.name))?;
        fs::rename(&fresh, &library)?;
        fs::write(mark, origin)?;
        Ok(library)
    }

    /// The shapes with this allocator linked in. Cargo knows what is to be built again.
    fn program(&self) -> Result<Option<PathBuf>> {
        let manifest = self.package();
        if !manifest.exists() {
            return Ok(None);
        }
        let name = manifest.parent().and_then(Path::file_name).context("a package without a folder")?;
        shell::quietly(shell::cargo(&manifest).args(["build", "--release", "--quiet"]))?;
        Ok(Some(
            shell::work_dir()
                .join("release")
                .join(Path::new("shapes-on").with_file_name(format!("shapes-{}", name.display()))),
        ))
    }
}

/// The folder of a crate that this package depends on.
fn sources(manifest: &Path, package: &str) -> Result<PathBuf> {
    let text = shell::quietly(shell::cargo(manifest).args(["metadata", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let found = packages.iter().find(|candidate| candidate["name"] == package);
    let path =
        found.and_then(|found| found["manifest_path"].as_str()).with_context(|| format!("no package {package}"))?;
    Ok(Path::new(path).parent().context("no folder")?.to_owned())
}

fn compiler(name: &str) -> Result<Command> {
    Ok(Command::new(shell::program(name, "gcc g++")?))
}

/// As its own build makes the library that overrides malloc.
fn mimalloc(from: &Path, to: &Path, secure: u32) -> Result<()> {
    let mut gcc = compiler("gcc")?;
    gcc.args(["-O3", "-DNDEBUG", "-fPIC", "-shared", "-ftls-model=initial-exec", "-fno-builtin-malloc"]);
    gcc.args(["-DMI_MALLOC_OVERRIDE", "-DMI_SHARED_LIB", "-DMI_SHARED_LIB_EXPORT"])
        .arg(format!("-DMI_SECURE={secure}"));
    gcc.current_dir(from).args(["-Iinclude", "src/static.c", "-lpthread", "-o"]).arg(to);
    shell::quietly(&mut gcc).map(drop)
}
