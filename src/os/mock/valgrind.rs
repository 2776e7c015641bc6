//! Nobody to ask.

pub(crate) type Request = [usize; 6];

pub(crate) fn ask_valgrind(_request: &Request) {}
