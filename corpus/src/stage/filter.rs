//! System calls that the kernel refuses from now on, as a container's filter would.

/// A call to be refused: its number, perhaps only with this third argument, and the error.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    pub call: i64,
    pub third: Option<u32>,
    pub error: i32,
}

/// What a kernel before 6.13 says to `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE`.
pub const GUARDS: [Refusal; 2] = [
    Refusal { call: libc::SYS_madvise, third: Some(102), error: libc::EINVAL },
    Refusal { call: libc::SYS_madvise, third: Some(103), error: libc::EINVAL },
];

/// Offsets in the kernel's `seccomp_data`: the number, and the low half of the third argument.
const NUMBER: u32 = 0;
const THIRD: u32 = 32;
/// Refusals at most. The program lies on the stack, for there may be no allocator yet.
const MOST: usize = 12;

/// Refuses these calls in this thread and in all that it starts, over exec too. False where there are no filters.
pub fn refuse(refusals: &[Refusal]) -> bool {
    let statement = |code: u32, k: u32, otherwise: u8| libc::sock_filter { code: code as u16, jt: 0, jf: otherwise, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equals = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let allow = statement(answer, libc::SECCOMP_RET_ALLOW, 0);
    assert!(refusals.len() <= MOST);
    let mut program = [allow; MOST * 5 + 1];
    for (chunk, refusal) in program.chunks_exact_mut(5).zip(refusals) {
        // Of five statements; the jumps lead to the next five.
        chunk[0] = statement(load, NUMBER, 0);
        chunk[1] = statement(equals, refusal.call as u32, 3);
        chunk[2] = statement(load, if refusal.third.is_some() { THIRD } else { NUMBER }, 0);
        chunk[3] = statement(equals, refusal.third.unwrap_or(refusal.call as u32), 1);
        chunk[4] = statement(answer, libc::SECCOMP_RET_ERRNO | refusal.error as u32, 0);
    }
    let filter = libc::sock_fprog { len: (refusals.len() * 5 + 1) as u16, filter: program.as_mut_ptr() };
    // SAFETY: changes a flag of this process.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return false;
    }
    // SAFETY: the program is alive for the call, which copies it.
    unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0 }
}
