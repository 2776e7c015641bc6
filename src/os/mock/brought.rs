//! Memory that does not come from `reserve`: what the program brings, and gigantic pages.

use super::controls::may_fail;
use super::pages::{Protection, books};
use crate::os::calls::{COUNTERS, counted};
use crate::os::{Errno, GIGANTIC, Span};

/// Whether all of the span is mapped: here, in the books.
pub(crate) fn is_mapped(span: Span) -> bool {
    span.len() != 0 && books().pages(span).is_ok_and(|pages| pages.iter().all(|page| page.protection.is_some()))
}

/// Takes one gigantic page. The hint is not followed.
///
/// # Errors
/// ENOMEM, unless a test [has set some aside](super::set_gigantic).
pub(crate) fn take_gigantic(_hint: usize, _node: Option<u32>) -> Result<Span, Errno> {
    let taken = may_fail(Errno::NOMEM)
        .and_then(|()| if super::controls::take_gigantic() { Ok(()) } else { Err(Errno::NOMEM) })
        .and_then(|()| books().reserve(GIGANTIC, GIGANTIC, Protection::Open));
    counted(&COUNTERS.reserve, taken)
}
