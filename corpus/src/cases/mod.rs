//! The cases that need nothing but an allocator. Each file is a group of the table, or a part of one.

mod controls;
mod double_free;
mod exploits;
mod exposure;
mod invalid_free;
mod layouts;
mod published;
mod resize;
mod rust_forms;
mod spatial;
mod techniques;
mod temporal;
mod words;

use crate::stage::Cases;

/// All of them.
#[must_use]
pub fn all() -> Cases {
    const FILES: [fn() -> Cases; 14] = [
        double_free::cases,
        double_free::races,
        double_free::odds,
        rust_forms::cases,
        invalid_free::cases,
        resize::cases,
        exploits::cases,
        layouts::cases,
        spatial::cases,
        temporal::cases,
        techniques::cases,
        exposure::cases,
        controls::cases,
        published::cases,
    ];
    FILES.into_iter().flat_map(|cases| cases()).collect()
}
