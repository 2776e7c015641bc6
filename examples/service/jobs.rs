//! The requests of the load: what is sent, and which answer is right.
//!
//! Every answer is checked to the last byte that is known beforehand: memory with two owners shows as a wrong one.

use std::io::Read;

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use fastrand::Rng;
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::client::{Answer, Ask};
use crate::orders::{Item, Order, Receipt};

/// Fillings of the sessions that the load stores, and how many sessions there are of each: together several times
/// the store's budget.
const FILLINGS: u8 = 250;
const OF_EACH: u8 = 16;

const WORDS: [&str; 8] = ["Allocator", "block", "page", "segment", "free", "owner", "guard", "list"];

/// One request and what its answer must be.
#[derive(Debug)]
pub(crate) struct Job {
    /// What the figures call it.
    pub(crate) kind: &'static str,
    pub(crate) ask: Ask,
    pub(crate) right: Right,
}

/// The right answer.
#[derive(Debug)]
pub(crate) enum Right {
    Total(u64),
    Stored,
    /// Every byte is this one; or the session was evicted or never stored.
    Filled(u8),
    Words(u64),
    Packed(Bytes),
    Refused,
}

impl Job {
    /// Draws a job of the mix: mostly orders and sessions, some heavy ones, and now and then a broken one.
    pub(crate) fn draw(rng: &mut Rng) -> anyhow::Result<Self> {
        Ok(match rng.u8(..100) {
            0..40 => order(rng)?,
            40..64 => store(rng),
            64..86 => fetch(rng),
            86..93 => words(rng),
            93..98 => compress(rng),
            _ => malformed(),
        })
    }
}

impl Right {
    pub(crate) fn is(&self, answer: &Answer) -> bool {
        let ok = answer.status == StatusCode::OK;
        let body = &answer.body;
        match self {
            Self::Total(total) => ok && serde_json::from_slice::<Receipt>(body).is_ok_and(|r| r.total == *total),
            Self::Stored => answer.status == StatusCode::NO_CONTENT,
            Self::Filled(byte) => answer.status == StatusCode::NOT_FOUND || (ok && body.iter().all(|b| b == byte)),
            Self::Words(n) => {
                ok && serde_json::from_slice::<Value>(body).is_ok_and(|v| v.get("words") == Some(&(*n).into()))
            }
            Self::Packed(plain) => {
                let mut unpacked = Vec::with_capacity(plain.len());
                ok && GzDecoder::new(body.as_ref()).read_to_end(&mut unpacked).is_ok() && unpacked == *plain
            }
            Self::Refused => answer.status == StatusCode::BAD_REQUEST,
        }
    }
}

fn order(rng: &mut Rng) -> anyhow::Result<Job> {
    let item = |rng: &mut Rng| Item {
        name: (0..rng.usize(4..40)).map(|_| rng.alphanumeric()).collect(),
        price: rng.u64(1..10_000),
        quantity: rng.u64(1..20),
    };
    let items: Vec<Item> = (0..rng.usize(1..30)).map(|_| item(rng)).collect();
    let total = items.iter().map(|item| item.price * item.quantity).sum();
    let order = Order { customer: format!("customer {}", rng.u32(..)), items, note: rng.bool().then(|| text(rng, 20)) };
    Ok(Job { kind: "order", ask: Ask::json("/orders", serde_json::to_vec(&order)?), right: Right::Total(total) })
}

fn session(rng: &mut Rng) -> (u8, String) {
    let filling = rng.u8(..FILLINGS);
    (filling, format!("/sessions/{filling}-{}", rng.u8(..OF_EACH)))
}

/// Sizes from 256 bytes to 64 KiB, each power of two as likely as the next.
fn store(rng: &mut Rng) -> Job {
    let (filling, path) = session(rng);
    let power = 1_usize << rng.u32(8..16);
    let body = vec![filling; power + rng.usize(..power)];
    Job { kind: "store session", ask: Ask::new(Method::PUT, path, body), right: Right::Stored }
}

fn fetch(rng: &mut Rng) -> Job {
    let (filling, path) = session(rng);
    Job { kind: "fetch session", ask: Ask::new(Method::GET, path, ""), right: Right::Filled(filling) }
}

fn words(rng: &mut Rng) -> Job {
    let n = rng.u16(1..4000);
    Job { kind: "words", ask: Ask::new(Method::POST, "/words", text(rng, n)), right: Right::Words(n.into()) }
}

/// Up to about 190 KB: body and encoder are large blocks.
fn compress(rng: &mut Rng) -> Job {
    let words = rng.u16(100..32_000);
    let body = Bytes::from(text(rng, words));
    Job { kind: "compress", ask: Ask::new(Method::POST, "/compress", body.clone()), right: Right::Packed(body) }
}

/// JSON that ends in the middle.
pub(crate) fn malformed() -> Job {
    let body = r#"{"customer": "eve", "items": [{"name": "#;
    Job { kind: "malformed", ask: Ask::json("/orders", body), right: Right::Refused }
}

fn text(rng: &mut Rng, words: u16) -> String {
    let mut text = String::new();
    for word in (0..words).filter_map(|_| rng.choice(WORDS)) {
        text.push_str(word);
        text.push(' ');
    }
    text
}
