//! What a test may decide: which calls fail, and what the machine can do.

use crate::os::Errno;
use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// What becomes of the calling thread's next calls that can fail.
#[derive(Clone, Copy)]
enum Plan {
    Succeed,
    /// The n-th from now fails, the others do not.
    Once(u64),
    /// From the n-th on all fail.
    From(u64),
}

std::thread_local! {
    static PLAN: Cell<Plan> = const { Cell::new(Plan::Succeed) };
    static FIRED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a failure is told on stderr, for a test whose process may not survive it.
static ALOUD: AtomicBool = AtomicBool::new(false);

/// From now on each failure is told on stderr: `mock: failed with errno 12`. For the whole process.
pub(crate) fn fail_aloud() {
    ALOUD.store(true, Relaxed);
}

/// Failures are in preparation for the thread that made this, until it is dropped.
#[must_use = "the plan is over when this is dropped"]
pub(crate) struct Failing(PhantomData<*const ()>);

/// The `n`-th call from now that can fail fails, counted from 1, on this thread only.
pub(crate) fn fail_nth(n: u64) -> Failing {
    start(Plan::Once(n))
}

/// The `n`-th call from now that can fail fails, counted from 1, and every one after it, on this thread only.
pub(crate) fn fail_from(n: u64) -> Failing {
    start(Plan::From(n))
}

fn start(plan: Plan) -> Failing {
    FIRED.set(false);
    PLAN.set(plan);
    Failing(PhantomData)
}

impl Failing {
    /// Whether a call has failed for it. When not, the code under test has fewer calls than `n`: all have been tried.
    pub(crate) fn fired(&self) -> bool {
        FIRED.get()
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        PLAN.set(Plan::Succeed);
    }
}

/// Stands at the start of every call that can fail.
pub(super) fn may_fail(with: Errno) -> Result<(), Errno> {
    let (fails, next) = match PLAN.get() {
        Plan::Succeed | Plan::Once(0) => (false, Plan::Succeed),
        Plan::Once(n) => (n == 1, Plan::Once(n.wrapping_sub(1))),
        Plan::From(n) => (n <= 1, Plan::From(n.saturating_sub(1))),
    };
    PLAN.set(next);
    if fails {
        FIRED.set(true);
        if ALOUD.load(Relaxed) {
            std::eprintln!("mock: failed with errno {}", with.0);
        }
        return Err(with);
    }
    Ok(())
}

static GUARDS: AtomicBool = AtomicBool::new(true);
static MAP_LIMIT: AtomicUsize = AtomicUsize::new(65_530);

/// Whether the machine has guards without maps. For the whole process: a test that sets it runs alone.
pub(crate) fn set_guards(present: bool) {
    GUARDS.store(present, Relaxed);
}

pub(super) fn guards() -> bool {
    GUARDS.load(Relaxed)
}

/// How many maps the machine allows. For the whole process: a test that sets it runs alone.
pub(crate) fn set_map_limit(maps: usize) {
    MAP_LIMIT.store(maps, Relaxed);
}

static GIGANTIC: AtomicUsize = AtomicUsize::new(0);

/// How many gigantic pages the machine has set aside. For the whole process: a test that sets it runs alone.
pub(crate) fn set_gigantic(pages: usize) {
    GIGANTIC.store(pages, Relaxed);
}

/// Takes one of them, if there is one.
pub(super) fn take_gigantic() -> bool {
    GIGANTIC.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
}

pub(super) fn map_limit() -> usize {
    MAP_LIMIT.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_nth_call_fails() {
        let failing = fail_nth(2);
        assert_eq!(may_fail(Errno::NOMEM), Ok(()));
        assert!(!failing.fired());
        assert_eq!(may_fail(Errno::NOMEM), Err(Errno::NOMEM));
        assert!(failing.fired());
        assert_eq!(may_fail(Errno::NOMEM), Ok(()));
    }

    #[test]
    fn every_call_from_the_nth_on_fails_until_the_plan_is_dropped() {
        let failing = fail_from(2);
        assert_eq!(may_fail(Errno::NOMEM), Ok(()));
        assert_eq!(may_fail(Errno::NOMEM), Err(Errno::NOMEM));
        assert_eq!(may_fail(Errno::NOMEM), Err(Errno::NOMEM));
        drop(failing);
        assert_eq!(may_fail(Errno::NOMEM), Ok(()));
    }
}
