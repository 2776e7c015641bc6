//! The cases that need nothing but an allocator. Each file is a group of the table, or a part of one.

mod double_free;
mod exploits;
mod invalid_free;
mod layouts;
mod resize;
mod rust_forms;

use crate::stage::Case;

/// All of them.
#[must_use]
pub fn all() -> Vec<Case> {
    let groups = [
        double_free::cases(),
        double_free::races(),
        double_free::odds(),
        rust_forms::cases(),
        invalid_free::cases(),
        resize::cases(),
        exploits::cases(),
        layouts::cases(),
    ];
    groups.into_iter().flatten().collect()
}
