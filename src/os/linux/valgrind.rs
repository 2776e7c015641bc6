//! Requests to valgrind: a sequence of instructions that does nothing, and that valgrind knows (valgrind.h, its section 2).

use super::super::arch;

/// So many words belong to a request: its number, and what it is about.
pub(crate) type Request = [usize; 6];

/// Asks valgrind, if the program runs under it.
#[inline(always)]
pub(crate) fn ask_valgrind(request: &Request) {
    arch::ask_valgrind(request);
}
