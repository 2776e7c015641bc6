//! The load: texts made up, sent, and the answers compared with those of another way to count.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::server::{self, Cost, Way};

/// What a run has cost.
pub(crate) struct Run {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// In the server, for requests.
    pub(crate) working: Duration,
    /// And of that, to free their memory.
    pub(crate) freeing: Duration,
    /// Blocks that are live after the run and were not before.
    pub(crate) left: u64,
}

/// A text of that many words: half of them from a few common ones, half from a great many.
fn text(words: u32) -> String {
    let mut text = String::new();
    for _ in 0..words {
        let rank = if fastrand::bool() { fastrand::u32(..20) } else { fastrand::u32(..1_000_000) };
        text.push_str(&format!("word-number-{rank} "));
    }
    text.push('\n');
    text
}

/// The answer that a text must get.
fn expected(text: &str) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    text.split_ascii_whitespace().for_each(|word| *counts.entry(word).or_default() += 1);
    let mut ranking: Vec<_> = counts.iter().collect();
    // Stable, so that words as frequent as each other stay in their order.
    ranking.sort_by(|(_, a), (_, b)| b.cmp(a));
    let ranks: String = ranking.iter().take(5).map(|(word, count)| format!("{word} {count}, ")).collect();
    format!("{ranks}of {}\n", counts.len())
}

/// Starts a server, sends it that many requests over one connection, and checks every answer.
pub(crate) fn drive(way: Way, requests: u32, words: u32) -> Result<Run> {
    fastrand::seed(1);
    let texts: Vec<String> = (0..64).map(|_| text(words)).collect();
    let answers: Vec<String> = texts.iter().map(|text| expected(text)).collect();
    let before = ravelin::stats().live_blocks;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on 127.0.0.1")?;
    let address = listener.local_addr()?;
    let (took, cost) = thread::scope(|scope| -> Result<(Duration, Cost)> {
        let server = scope.spawn(|| server::serve(&listener, way));
        let mut to_server = TcpStream::connect(address).context("cannot connect to the server")?;
        to_server.set_nodelay(true)?;
        let mut from_server = BufReader::new(to_server.try_clone()?);
        let start = Instant::now();
        let mut answer = String::new();
        for (text, expected) in texts.iter().zip(&answers).cycle().take(requests as usize) {
            to_server.write_all(text.as_bytes())?;
            answer.clear();
            from_server.read_line(&mut answer)?;
            ensure!(answer == *expected, "the answer is {answer:?} and should be {expected:?}");
        }
        let took = start.elapsed();
        drop((to_server, from_server));
        Ok((took, server.join().map_err(|_| anyhow::anyhow!("the server has panicked"))??))
    })?;
    let left = ravelin::stats().live_blocks.saturating_sub(before);
    Ok(Run { took, working: cost.working, freeing: cost.freeing, left })
}
