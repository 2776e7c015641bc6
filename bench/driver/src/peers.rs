//! The allocators. Each is a library that can be preloaded, compiled here from the sources that its crate brings, and a program of
//! the shapes with the crate as its global allocator (the packages in `bench/peers`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::recipes;
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
    /// Changes whenever the library does (and the program with it: both are built from the same sources).
    pub fn fingerprint(&self) -> String {
        self.library.as_deref().map(shell::fingerprint).unwrap_or_default()
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
    /// Compiled from the sources that this crate brings, a dependency of the peer's package.
    Sources(&'static str, recipes::Recipe),
    /// This file of this package of the distribution, which need not be installed.
    Debian(&'static str, &'static str),
}

use Library::{Debian, Ours, Sources, System};

const KNOWN: &[Known] = &[
    Known {
        name: BASELINE,
        what: "mimalloc 2.1.7, the baseline",
        library: Sources("libmimalloc-sys", |from, to| recipes::mimalloc(&from.join("c_src/mimalloc"), to, 0)),
    },
    Known {
        name: "mimalloc-secure",
        what: "mimalloc 2.1.7 with MI_SECURE=4",
        library: Sources("libmimalloc-sys", |from, to| recipes::mimalloc(&from.join("c_src/mimalloc"), to, 4)),
    },
    Known { name: "fast", what: "Ravelin without mitigations", library: Ours },
    Known { name: "hardened", what: "Ravelin, the default build", library: Ours },
    Known { name: "paranoid", what: "Ravelin with every mitigation", library: Ours },
    Known { name: "system", what: "the C library's malloc", library: System },
    Known {
        name: "mimalloc-3",
        what: "mimalloc 3.3.2",
        library: Sources("libmimalloc-sys", |from, to| recipes::mimalloc(&from.join("c_src/mimalloc/v3"), to, 0)),
    },
    Known {
        name: "mimalloc-3-secure",
        what: "mimalloc 3.3.2 with MI_SECURE=4",
        library: Sources("libmimalloc-sys", |from, to| recipes::mimalloc(&from.join("c_src/mimalloc/v3"), to, 4)),
    },
    Known {
        name: "snmalloc",
        what: "snmalloc, as snmalloc-sys 0.7.6 brings it",
        library: Sources("snmalloc-sys", |from, to| recipes::snmalloc(from, to, &[])),
    },
    Known {
        name: "snmalloc-checked",
        what: "the same with SNMALLOC_CHECK_CLIENT",
        library: Sources("snmalloc-sys", |from, to| recipes::snmalloc(from, to, &["-DSNMALLOC_CHECK_CLIENT"])),
    },
    Known {
        name: "jemalloc",
        what: "jemalloc: Debian's 5.3.0 preloaded, tikv-jemallocator 0.7 in Rust",
        library: Debian("libjemalloc2", "libjemalloc.so.2"),
    },
    Known {
        name: "hardened-malloc",
        what: "hardened_malloc 12, default variant",
        library: Sources("hardened_malloc-rs", |from, to| recipes::hardened_malloc(from, to, "default")),
    },
    Known {
        name: "hardened-malloc-light",
        what: "hardened_malloc 12, light variant",
        library: Sources("hardened_malloc-rs", |from, to| recipes::hardened_malloc(from, to, "light")),
    },
    Known { name: "scudo", what: "scudo, as scudo-sys 0.2.2 brings it", library: Sources("scudo-sys", recipes::scudo) },
    Known {
        name: "isoalloc",
        what: "isoalloc, as libisoalloc-sys 0.3.0 brings it",
        library: Sources("libisoalloc-sys", recipes::isoalloc),
    },
    Known {
        name: "tcmalloc",
        what: "Google's tcmalloc, as libtcmalloc-sys 0.1.14 brings it",
        library: Sources("libtcmalloc-sys", recipes::tcmalloc),
    },
    Known {
        name: "gperftools",
        what: "gperftools' tcmalloc 2.10, Debian's (preloaded only)",
        library: Debian("libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
    },
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

/// Whether the programs with an allocator linked in are wanted: each takes a while to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    Wanted,
    Unwanted,
}

pub fn choose(
    programs: Programs,
    size: Size,
    wanted: &[String],
    ours: &[(String, PathBuf)],
    more: &[(String, PathBuf)],
) -> Result<Chosen> {
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
        match known.ready(programs, ours) {
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

    fn ready(&self, programs: Programs, ours: &[(String, PathBuf)]) -> Result<Peer> {
        let program = match programs {
            Programs::Wanted => self.program().with_context(|| format!("{} as global allocator", self.name))?,
            Programs::Unwanted => None,
        };
        let library = match &self.library {
            System => None,
            Ours => ours.iter().find(|(name, _)| name == self.name).map(|(_, path)| path.clone()),
            Sources(package, recipe) => Some(self.compiled(package, *recipe)?),
            Debian(package, file) => Some(recipes::debian(package, file)?),
        };
        Ok(Peer { name: self.name.to_owned(), library, preloads: true, program })
    }

    /// The library, compiled when there is none yet.
    fn compiled(&self, package: &str, recipe: recipes::Recipe) -> Result<PathBuf> {
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
        recipe(&sources, &fresh).with_context(|| format!("compiling {}", self.name))?;
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
