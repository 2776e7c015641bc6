//! Real programs, unmodified, the distribution's own, with the library preloaded. What they print must be the same under
//! every allocator.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::peers::Peer;
use crate::rounds::Size;
use crate::run::{self, Cost};
use crate::{service, shell};

pub struct Program {
    pub name: &'static str,
    pub what: &'static str,
    /// The program and the package that it comes with, if it is the distribution's.
    binary: (&'static str, &'static str),
    /// Rounds at full size: about half a second's.
    rounds: f64,
    how: How,
}

enum How {
    /// These arguments, where `ROUNDS` and `INPUTS` are replaced, and variables for it.
    Arguments(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// The SQL in this file, in an argument.
    Sql(&'static str),
    /// A program that `prepare` compiles.
    Compiled,
    /// A server, and its client, which is not measured.
    Redis,
    /// Our own example, which brings its load.
    Service,
}

use How::{Arguments, Compiled, Redis, Service, Sql};

pub static PROGRAMS: [Program; 12] = [
    Program {
        name: "python",
        what: "python3: objects, JSON, regular expressions",
        binary: ("python3", "python3"),
        rounds: 20.0,
        how: Arguments(&["-S", "PROGRAMS/objects.py", "ROUNDS"], &[("PYTHONHASHSEED", "0")]),
    },
    Program {
        name: "python-malloc",
        what: "the same with every object from malloc",
        binary: ("python3", "python3"),
        rounds: 20.0,
        how: Arguments(
            &["-S", "PROGRAMS/objects.py", "ROUNDS"],
            &[("PYTHONHASHSEED", "0"), ("PYTHONMALLOC", "malloc")],
        ),
    },
    Program {
        name: "perl",
        what: "perl: hashes, strings, sorting, matching",
        binary: ("perl", "perl"),
        rounds: 30.0,
        how: Arguments(&["PROGRAMS/records.pl", "ROUNDS"], &[("PERL_HASH_SEED", "0")]),
    },
    Program {
        name: "sqlite",
        what: "sqlite3: tables, indices and joins in memory",
        binary: ("sqlite3", "sqlite3"),
        rounds: 150.0,
        how: Sql("orders.sql"),
    },
    Program {
        name: "node",
        what: "node: objects, maps, buffers, JSON",
        binary: ("node", "nodejs"),
        rounds: 15.0,
        how: Arguments(&["PROGRAMS/modules.js", "ROUNDS"], &[]),
    },
    Program {
        name: "cc1plus",
        what: "g++ -O1 on a preprocessed file full of templates",
        binary: ("g++", "g++"),
        rounds: 1.0,
        how: Arguments(&["-O1", "-S", "-x", "c++-cpp-output", "INPUTS/templates.ii", "-o", "/dev/null"], &[]),
    },
    Program {
        name: "cc1plus-syntax",
        what: "the same, read only",
        binary: ("g++", "g++"),
        rounds: 1.0,
        how: Arguments(&["-fsyntax-only", "-x", "c++-cpp-output", "INPUTS/templates.ii"], &[]),
    },
    Program {
        name: "git",
        what: "git: what gc does, a repository of 600 commits packed afresh",
        binary: ("git", "git"),
        rounds: 1.0,
        how: Arguments(&["-c", "pack.threads=2", "-C", "INPUTS/repository", "repack", "-adfq"], &[]),
    },
    Program {
        name: "starts",
        what: "programs that do nothing, one after the other: what it costs to start, and to be there",
        binary: ("sh", "dash"),
        rounds: 300.0,
        how: Arguments(&["-c", "i=0; while [ $i -lt ROUNDS ]; do /bin/true; i=$((i+1)); done"], &[]),
    },
    Program {
        name: "containers",
        what: "a C++ program of strings, maps, lists and shared pointers",
        binary: ("g++", "g++"),
        rounds: 60.0,
        how: Compiled,
    },
    Program {
        name: "redis",
        what: "redis-server under redis-benchmark; the server is measured",
        binary: ("redis-server", "redis-server redis-tools"),
        rounds: 400.0,
        how: Redis,
    },
    Program {
        name: "service",
        what: "the service example and the load that drives it, both measured",
        binary: ("", ""),
        rounds: 20.0,
        how: Service,
    },
];

fn sources() -> PathBuf {
    shell::bench_dir().join("programs")
}

fn inputs() -> PathBuf {
    shell::work_dir().join("inputs")
}

impl Program {
    /// Makes what is read, once.
    pub fn prepare(&self) -> Result<()> {
        let (binary, package) = self.binary;
        if let Service = self.how {
            return service::build().map(drop);
        }
        shell::program(binary, package)?;
        fs::create_dir_all(inputs())?;
        match self.name {
            "cc1plus" | "cc1plus-syntax" => {
                let mut gxx = Command::new(shell::program(binary, package)?);
                gxx.args(["-std=c++17", "-E", "-P"]).arg(sources().join("templates.cc"));
                shell::quietly(gxx.arg("-o").arg(inputs().join("templates.ii"))).map(drop)
            }
            "containers" => {
                let mut gxx = Command::new(shell::program(binary, package)?);
                gxx.args(["-std=c++17", "-O2"]).arg(sources().join("containers.cc"));
                shell::quietly(gxx.arg("-o").arg(inputs().join("containers"))).map(drop)
            }
            "git" => repository(&inputs().join("repository")),
            "redis" => shell::program("redis-benchmark", package).map(drop),
            _ => Ok(()),
        }
    }

    pub fn run(&self, peer: &Peer, scale: f64, scratch: &Path) -> Result<(Cost, String)> {
        let rounds = ((self.rounds * scale).round() as u64).max(1);
        let (binary, package) = self.binary;
        let binary = match self.how {
            Compiled => inputs().join(self.name),
            Service => service::build()?,
            _ => shell::program(binary, package)?,
        };
        let arguments: Vec<String> = match self.how {
            Arguments(arguments, _) => arguments.iter().map(|text| replaced(text, rounds)).collect(),
            Sql(file) => {
                let text = fs::read_to_string(sources().join(file))?;
                // An argument that begins with a dash would be an option.
                let statements: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
                vec![":memory:".to_owned(), replaced(&statements.join("\n"), rounds)]
            }
            Compiled => vec![rounds.to_string()],
            Service => {
                let requests = (rounds * 1000).to_string();
                ["--seconds", "120", "--requests", &requests].map(str::to_owned).to_vec()
            }
            Redis => return redis(peer, rounds * 1000, &binary, scratch),
        };
        let mut measured = run::measured(peer.library.as_deref(), scratch, &binary, &arguments)?;
        if let Arguments(_, variables) = self.how {
            for (name, value) in variables {
                measured = measured.env(name, value);
            }
        }
        let (cost, output) = measured.finish()?;
        // It prints how long it took.
        if let Service = self.how {
            return Ok((cost, "done".to_owned()));
        }
        let mut hasher = DefaultHasher::new();
        output.hash(&mut hasher);
        Ok((cost, format!("{:016x}", hasher.finish())))
    }

    /// Some work cannot be made small; then a smaller part of it stands for it.
    pub fn fits(&self, size: Size) -> bool {
        self.name != "cc1plus" || size == Size::Full
    }
}

fn replaced(text: &str, rounds: u64) -> String {
    text.replace("ROUNDS", &rounds.to_string())
        .replace("PROGRAMS", &sources().to_string_lossy())
        .replace("INPUTS", &inputs().to_string_lossy())
}

/// A repository whose files change a little with every commit.
fn repository(at: &Path) -> Result<()> {
    if at.join("done").exists() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(at);
    let git = shell::program("git", "git")?;
    shell::quietly(Command::new(&git).args(["init", "--quiet", "--bare"]).arg(at))?;
    let mut import = Command::new(&git);
    import.arg("-C").arg(at).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut child = import.spawn().context("git fast-import")?;
    let mut into = std::io::BufWriter::new(child.stdin.take().context("no pipe")?);
    let mut random = fastrand::Rng::with_seed(71);
    let mut line = move || -> String {
        let mut text: String = (0..random.usize(3..9)).map(|_| format!("word{} ", random.u32(..3000))).collect();
        text.push('\n');
        text
    };
    let mut random = fastrand::Rng::with_seed(73);
    let mut files: Vec<Vec<String>> = (0..60).map(|_| (0..150).map(|_| line()).collect()).collect();
    for commit in 0..600 {
        writeln!(
            into,
            "commit refs/heads/main\ncommitter A <a@example.com> {} +0000\ndata 6\nchange",
            1_600_000_000 + commit
        )?;
        for _ in 0..3 {
            let number = random.usize(..files.len());
            let file = &mut files[number];
            for _ in 0..4 {
                let at = random.usize(..file.len());
                file[at] = line();
            }
            let text = file.concat();
            writeln!(into, "M 100644 inline dir{}/file{number}\ndata {}\n{text}", number % 7, text.len())?;
        }
    }
    drop(into);
    anyhow::ensure!(child.wait()?.success(), "git fast-import failed");
    fs::write(at.join("done"), "").context("marking the repository")
}

/// Requests over a socket file, pipelined, so that the server and not the socket is what takes the time.
fn redis(peer: &Peer, requests: u64, server: &Path, scratch: &Path) -> Result<(Cost, String)> {
    let socket = scratch.join("redis.sock").to_string_lossy().into_owned();
    let arguments = ["--port", "0", "--unixsocket", &socket, "--save", "", "--appendonly", "no", "--dir", "."];
    let arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
    let mut started = run::measured(peer.library.as_deref(), scratch, server, &arguments)?.start()?;
    let client = |name: &str, arguments: &[&str]| {
        let mut client = Command::new(shell::program(name, "redis-tools")?);
        shell::quietly(client.args(["-s", &socket]).args(arguments).env_remove("LD_PRELOAD"))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while client("redis-cli", &["ping"]).is_err() {
        if started.has_ended() || Instant::now() > deadline {
            started.kill();
            bail!("the server does not answer");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let start = Instant::now();
    let (each, lists) = (requests.to_string(), (requests / 10).to_string());
    let load = |tests: &str, count: &str, bytes: &str| {
        client(
            "redis-benchmark",
            &["-q", "-P", "16", "-c", "20", "-r", "100000", "-d", bytes, "-n", count, "-t", tests],
        )
    };
    let loaded = load("set,get,incr,sadd,hset,zadd", &each, "100")
        .and_then(|_| load("lpush,rpop,set", &each, "1000"))
        .and_then(|_| load("lrange_100", &lists, "20"));
    let wall = start.elapsed();
    if let Err(error) = loaded {
        started.kill();
        return Err(error).context("redis-benchmark");
    }
    // It closes the connection without an answer.
    let _ = client("redis-cli", &["shutdown", "nosave"]);
    let mut cost = started.finish()?;
    cost.wall = wall.as_micros() as u64;
    Ok((cost, "done".to_owned()))
}
