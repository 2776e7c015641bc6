//! Counting words on worker threads: text goes to them over a channel, tables come back.
//!
//! What one thread allocates another frees, in both directions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

/// Bytes of text in one piece of work.
const PIECE: usize = 4096;

/// Pieces that may wait; a request that finds more waits itself.
const WAITING: usize = 64;

/// How often each word occurs.
pub(crate) type Count = HashMap<String, u64>;

#[derive(Debug)]
struct Piece {
    text: String,
    answer: oneshot::Sender<Count>,
}

/// The worker threads. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Counters {
    pieces: mpsc::Sender<Piece>,
}

impl Counters {
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let (pieces, waiting) = mpsc::channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name("words".into()).spawn(move || work(&waiting))?;
        }
        Ok(Self { pieces })
    }

    /// Counts the words of a text, piece by piece.
    pub(crate) async fn count(&self, text: &str) -> anyhow::Result<Count> {
        let mut answers = Vec::new();
        for text in pieces(text) {
            let (answer, receive) = oneshot::channel();
            self.pieces.send(Piece { text, answer }).await.context("no worker thread is left")?;
            answers.push(receive);
        }
        let mut all = Count::new();
        for answer in answers {
            for (word, n) in answer.await.context("a worker thread ended")? {
                *all.entry(word).or_default() += n;
            }
        }
        Ok(all)
    }
}

/// Cuts between words, once a piece is long enough.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for word in text.split_whitespace() {
        piece.push_str(word);
        piece.push(' ');
        if piece.len() >= PIECE {
            pieces.push(core::mem::take(&mut piece));
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

fn work(waiting: &Mutex<mpsc::Receiver<Piece>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(Piece { text, answer }) = next else { return };
        let mut count = Count::new();
        for word in text.split_whitespace() {
            *count.entry(word.to_lowercase()).or_default() += 1;
        }
        _ = answer.send(count); // Fails only if the request was given up: then nobody wants the answer.
    }
}
