//! What the kernel says of this process's memory, and what it is made to allow.

/// Bytes of resident memory.
pub fn resident() -> usize {
    field(1)
}

/// Bytes of address space.
pub fn address_space() -> usize {
    field(0)
}

fn field(index: usize) -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("a kernel with /proc");
    let pages: usize = text.split_whitespace().nth(index).and_then(|word| word.parse().ok()).expect("a number");
    pages * page_size()
}

/// Bytes of an OS page.
pub fn page_size() -> usize {
    // SAFETY: takes nothing but the number of the question.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a size")
}

/// What is limited.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    AddressSpace,
    Data,
    Locked,
}

/// Sets a soft limit of this process, and the hard one too if that may be.
pub fn limit(what: Limit, bytes: usize) {
    let resource = match what {
        Limit::AddressSpace => libc::RLIMIT_AS,
        Limit::Data => libc::RLIMIT_DATA,
        Limit::Locked => libc::RLIMIT_MEMLOCK,
    };
    let limit = libc::rlimit { rlim_cur: bytes as libc::rlim_t, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: reads the limit that it is given.
    if unsafe { libc::setrlimit(resource, &raw const limit) } == 0 {
        return;
    }
    let limit = libc::rlimit { rlim_cur: bytes as libc::rlim_t, rlim_max: bytes as libc::rlim_t };
    // SAFETY: reads the limit that it is given.
    unsafe { libc::setrlimit(resource, &raw const limit) };
}

/// Whether there is a limit of address space or of data.
pub fn is_limited() -> bool {
    [libc::RLIMIT_AS, libc::RLIMIT_DATA].into_iter().any(|resource| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes to the limit that it is given.
        assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
        limit.rlim_cur != libc::RLIM_INFINITY
    })
}
