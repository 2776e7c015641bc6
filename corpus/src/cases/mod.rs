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

use crate::stage::Case;

/// All of them.
#[must_use]
pub fn all() -> Vec<Case> {
    of_group(None)
}

/// Those of a group, by its letter, and perhaps others: a stage plays one case, and should not have to make thousands where each allocation is dear.
#[must_use]
pub fn of_group(letter: Option<char>) -> Vec<Case> {
    const FILES: [(&str, fn() -> Vec<Case>); 14] = [
        ("a", double_free::cases),
        ("a", double_free::races),
        ("a", double_free::odds),
        ("ag", rust_forms::cases),
        ("b", invalid_free::cases),
        ("ac", resize::cases),
        ("f", exploits::cases),
        ("g", layouts::cases),
        ("cdf", spatial::cases),
        ("e", temporal::cases),
        ("f", techniques::cases),
        ("eh", exposure::cases),
        ("j", controls::cases),
        ("k", published::cases),
    ];
    let wanted = FILES.iter().filter(|(letters, _)| letter.is_none_or(|letter| letters.contains(letter)));
    wanted.flat_map(|(_, cases)| cases()).collect()
}
