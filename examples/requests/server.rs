//! The server: lines in, lines out, and the memory of a request.

use core::mem;
use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use allocator_api2::alloc::{AllocError, Allocator, Layout};
use anyhow::{Context, Result};
use core::alloc::GlobalAlloc;
use core::ptr::NonNull;
use ravelin::{Ravelin, Region};

use crate::statistics::Statistics;

/// Where a request's memory comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The thread's heap: every block is freed by itself.
    Blocks,
    /// A region: all blocks are freed at once.
    Regions,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Blocks => "block by block",
            Way::Regions => "region by region",
        }
    }
}

/// What the requests of a connection have cost.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    /// From a request's text to its answer and its memory's end.
    pub(crate) working: Duration,
    /// The part of it that the memory's end took.
    pub(crate) freeing: Duration,
}

/// The global allocator as one of `allocator-api2`, so that both ways run the same code.
#[derive(Clone, Copy)]
struct Global;

// SAFETY: the global allocator's blocks are of the layout asked for and stay valid until they are given back.
unsafe impl Allocator for Global {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let start = match layout.size() {
            0 => core::ptr::without_provenance_mut(layout.align()),
            // SAFETY: the size is not 0.
            _ => unsafe { Ravelin.alloc(layout) },
        };
        NonNull::new(start).map(|start| NonNull::slice_from_raw_parts(start, layout.size())).ok_or(AllocError)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: the caller's promise.
            unsafe { Ravelin.dealloc(block.as_ptr(), layout) }
        }
    }
}

/// Serves one connection to its end: a text a line, an answer a line.
pub(crate) fn serve(listener: &TcpListener, way: Way) -> Result<Cost> {
    let (stream, _) = listener.accept().context("nobody connects")?;
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream.try_clone()?);
    let mut answers: TcpStream = stream;
    let (mut text, mut cost) = (String::new(), Cost::default());
    while requests.read_line(&mut text)? != 0 {
        let start = Instant::now();
        let (answer, done) = match way {
            Way::Blocks => {
                let statistics = Statistics::of(&text, Global);
                let done = (statistics.answer(), Instant::now());
                drop(statistics);
                done
            }
            Way::Regions => {
                let region = Region::new()?;
                let statistics = Statistics::of(&text, &region);
                let done = (statistics.answer(), Instant::now());
                // Nobody need look at it again: the region's end is the end of all of it.
                mem::forget(statistics);
                drop(region);
                done
            }
        };
        cost.freeing += done.elapsed();
        cost.working += start.elapsed();
        answers.write_all(answer.as_bytes())?;
        text.clear();
    }
    Ok(cost)
}
