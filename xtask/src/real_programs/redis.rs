//! redis-server on a socket file, under redis-benchmark and then filled with known data, whose digest is the output.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::data::Numbers;
use super::setting::{Bench, Running};

pub fn run(bench: &Bench) -> Result<String> {
    let socket = bench.scratch("redis.sock");
    let client = |program, package| {
        let mut command = bench.command(program, package)?;
        command.arg("-s").arg(&socket);
        Ok::<Command, anyhow::Error>(command)
    };

    let mut server = bench.command("redis-server", "redis-server")?;
    server.args(["--port", "0", "--save", "", "--appendonly", "no", "--enable-debug-command", "local"]);
    let server =
        bench.start(server.args(["--activerehashing", "no", "--io-threads", "2", "--unixsocket"]).arg(&socket))?;
    await_socket(&server, || UnixStream::connect(&socket).is_ok())?;

    // How fast it is differs; that every test was done does not.
    let requests = bench.size.pick("15000", "1000000");
    let mut benchmark = client("redis-benchmark", "redis-tools")?;
    benchmark.args(["-n", requests, "-c", "20", "-P", "4", "-d", "100", "-r", "20000", "--csv"]);
    let said =
        bench.run(benchmark.args(["-t", "set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,lrange_100,mset"]))?;
    let mut output: String =
        said.lines().filter_map(|line| line.split(',').next()).map(|name| format!("{name}\n")).collect();

    bench.run(client("redis-cli", "redis-tools")?.arg("flushall"))?;
    let file = bench.write("commands.txt", &commands(bench.size.pick(30_000, 500_000)))?;
    let mut fill = bench.command("sh", "dash")?;
    fill.args(["-c", "exec redis-cli -s \"$0\" --pipe < \"$1\""]).arg(&socket).arg(&file);
    output += &bench.run(&mut fill)?;
    for command in [&["dbsize"][..], &["debug", "digest"], &["zrange", "z:1", "0", "20"], &["lrange", "l:2", "0", "20"]]
    {
        output += &bench.run(client("redis-cli", "redis-tools")?.args(command))?;
    }
    // A background save forks: the child reads what the parent goes on using.
    bench.run(client("redis-cli", "redis-tools")?.args(["bgsave"]))?;
    let start = Instant::now();
    loop {
        let state = bench.aside(client("redis-cli", "redis-tools")?.args(["info", "persistence"]))?;
        if state.contains("rdb_bgsave_in_progress:0") {
            ensure!(state.contains("rdb_last_bgsave_status:ok"), "the background save failed: {state}");
            break;
        }
        ensure!(start.elapsed() < Duration::from_secs(60), "the background save does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    File::open(bench.scratch("dump.rdb"))?;
    server.stop(libc::SIGTERM, bench)?;
    Ok(output)
}

/// Commands that leave the same data behind every time.
fn commands(count: u32) -> String {
    let mut numbers = Numbers::new(3);
    let mut commands = String::new();
    for _ in 0..count {
        let (key, word, number) = (numbers.below(500), numbers.word(), numbers.below(100_000));
        let written = match numbers.below(8) {
            0 => write!(
                commands,
                "SET s:{} {}",
                numbers.below(20_000),
                word.repeat(usize::try_from(number % 60).unwrap_or(1) + 1)
            ),
            1 => write!(commands, "HSET h:{key} {word} {number}"),
            2 => write!(commands, "ZADD z:{key} {number} {word}"),
            3 => write!(commands, "RPUSH l:{key} {word} {number}"),
            4 => write!(commands, "SADD t:{key} {word}"),
            5 => write!(commands, "DEL s:{}", numbers.below(20_000)),
            6 => write!(commands, "APPEND a:{key} {word}"),
            _ => write!(commands, "LPOP l:{key}"),
        };
        written.expect("writing to a String cannot fail");
        commands.push_str("\r\n");
    }
    commands
}

/// Waits until a server answers.
pub fn await_socket(server: &Running, answers: impl Fn() -> bool) -> Result<()> {
    let start = Instant::now();
    while !answers() {
        server.check_alive()?;
        if start.elapsed() > Duration::from_secs(30) {
            bail!("the server does not answer");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
