//! Real programs, unmodified, from the distribution.

use std::path::Path;

use anyhow::Result;

use crate::peers::Peer;
use crate::rounds::Size;
use crate::run::Cost;

pub struct Program {
    pub name: &'static str,
    pub what: &'static str,
    prepare: fn(Size) -> Result<()>,
    run: fn(&Peer, f64, &Path) -> Result<(Cost, String)>,
}

impl Program {
    pub fn prepare(&self, size: Size) -> Result<()> {
        (self.prepare)(size)
    }

    pub fn run(&self, peer: &Peer, _size: Size, scale: f64, scratch: &Path) -> Result<(Cost, String)> {
        (self.run)(peer, scale, scratch)
    }
}

pub static PROGRAMS: [Program; 0] = [];
