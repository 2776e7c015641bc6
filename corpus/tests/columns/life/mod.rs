//! Group I and F11: what must never be flagged, and must go on, wherever a program may find itself: the ends of threads and of the process,
//! forks, limits, filters of system calls; and the last moments of a process that is being stopped.
//!
//! Long ones have a CI size and, with `FULL_SIZE_TESTS=1` in the environment, a full size.

mod exercise;
mod filters;
mod forks;
mod hooks;
mod limits;
mod memory;
mod process;
mod threads;

use corpus::stage::Cases;

pub fn cases() -> Cases {
    let groups =
        [threads::cases(), process::cases(), forks::cases(), limits::cases(), filters::cases(), hooks::cases()];
    groups.into_iter().flatten().map(|case| if takes_long(&case.name) { case.slow() } else { case }).collect()
}

/// Whether it takes more than about half a second, and so is not for every run.
fn takes_long(name: &str) -> bool {
    const LONG: [&str; 15] = [
        "i10_handler_of_sigabrt/jumps_away/and",
        "i10_hook_that_waits",
        "i12_",
        "i1_forks_from_eight",
        "i3_",
        "i4_a_thread_ends_with",
        "i4_blocks_made_in_the_last",
        "i4_destructors_of_thread_locals",
        "i5_threads_that_only",
        "i6_",
        "i7_refused_in_the_middle",
        "i8_null_on_exhaustion/",
        "i9_65000_maps_in_use_without",
        "i9_large_blocks",
        "i9_more_large_blocks",
    ];
    LONG.iter().any(|start| name.starts_with(start)) && !name.ends_with("/65536")
}
