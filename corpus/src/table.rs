//! The table: what each build promises of each misuse.
//!
//! | letter | |
//! |---|---|
//! | D | dies inside the guilty call, with the right report |
//! | d | found at the latest at the next malloc, free or collection that meets the block, at `check_heap()` or at exit |
//! | F | the access itself faults |
//! | N | has no effect worth having |
//! | OK | must not be flagged |
//! | P | with some probability, which is measured |
//! | - | not promised: played and recorded |

use std::process::Command;

/// A build, as the table has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Column {
    /// `hardened`, the default.
    H,
    /// `paranoid`.
    P,
    /// `paranoid` with every allocation alone against a guard.
    G,
}

impl Column {
    /// From left to right.
    pub const ALL: [Column; 3] = [Column::H, Column::P, Column::G];

    /// As in the table's head.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Column::H => "h",
            Column::P => "p",
            Column::G => "g",
        }
    }

    /// Sets the options of the column for a process that is to be started.
    pub fn arrange(self, command: &mut Command) {
        if self == Column::G {
            command.env(EVERY, "1");
        }
    }
}

/// One allocation in how many stands alone.
const EVERY: &str = "RAVELIN_SAMPLED_GUARDS";

/// So many, or far fewer where each allocation of this process stands alone, which is dear.
#[must_use]
pub fn spared(count: usize) -> usize {
    if is_guarded() { count.div_ceil(64) } else { count }
}

/// Whether each allocation of this process stands alone.
#[must_use]
pub fn is_guarded() -> bool {
    std::env::var(EVERY).is_ok_and(|every| every == "1")
}

/// What stood alone comes back as soon as it is freed, and not after hundreds of MiB.
pub fn without_pool(command: &mut Command) {
    command.env("RAVELIN_SAMPLED_POOL", "0");
}

impl core::str::FromStr for Column {
    type Err = String;

    fn from_str(name: &str) -> Result<Column, String> {
        let found = Column::ALL.into_iter().find(|column| column.name() == name);
        found.ok_or_else(|| format!("no column {name:?}: h, p or g"))
    }
}

/// A misuse, in all its forms.
#[derive(Debug)]
pub struct Row {
    /// Such as `A13`. The names of its cases begin with it, in small letters.
    pub id: &'static str,
    /// What is done.
    pub title: &'static str,
    /// What must come of it, by column.
    pub promises: [&'static str; 3],
    /// What shows it, where it is no case of this suite.
    pub elsewhere: Option<&'static str>,
}

impl Row {
    /// The group's letter.
    #[must_use]
    pub fn group(&self) -> &'static str {
        &self.id[..1]
    }
}

/// The row of that name, in whatever letters.
#[must_use]
pub fn row(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id.eq_ignore_ascii_case(id))
}

/// Where a row stands in the table; behind all of them if nowhere.
#[must_use]
pub fn position(id: &str) -> usize {
    ROWS.iter().position(|row| row.id == id).unwrap_or(usize::MAX)
}

/// What a group is about.
#[must_use]
pub fn group_title(group: &str) -> &'static str {
    GROUPS.iter().find(|(letter, _)| *letter == group).map_or("", |(_, title)| title)
}

/// Groups by their letters.
pub const GROUPS: &[(&str, &str)] = &[
    ("A", "Double free"),
    ("B", "Invalid free"),
    ("C", "realloc and queries"),
    ("D", "Spatial"),
    ("E", "Temporal"),
    ("F", "Exploit techniques"),
    ("G", "Sizes and layouts"),
    ("H", "Exposure"),
    ("I", "Life cycle and environment"),
    ("J", "Negative controls"),
    ("K", "After published bugs and exploits"),
];

/// All rows.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { id: "A1", title: "free(p) twice, every size", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A2", title: "large and huge, twice", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A3", title: "p, q, p interleaved", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A4", title: "1,024 allocations and frees of the same class between the two frees, p not reused meanwhile", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A5", title: "free, write 8 random bytes at offset 0 of the freed block, free", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A6", title: "the same at offset 8", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A7", title: "local free, then a remote free (the owner idle, busy with other blocks, or having popped the block again)", promises: ["D, or as A15 if popped again", "D, or as A15 if popped again", "D"], elsewhere: None },
    Row { id: "A8", title: "remote free twice before the owner collects", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A9", title: "remote free, owner collects, remote free", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A10", title: "two threads race to free one block, 10,000 rounds, no malloc in between (with mallocs it is A15): never two owners, the report comes", promises: ["D or d", "D or d", "D or d"], elsewhere: None },
    Row { id: "A11", title: "owner thread ended, block freed twice", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A12", title: "page emptied and purged between the two frees", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A13", title: "page emptied and reused for another class in between", promises: ["D unless p is a live block's start again", "D unless p is a live block's start again", "D"], elsewhere: None },
    Row { id: "A14", title: "realloc moved p; free(p)", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A15", title: "free(p), the victim allocates the same size, free(stale p)", promises: ["P, state it", "P(63/64)", "D"], elsewhere: None },
    Row { id: "A16", title: "Rust forms: `Box::from_raw` twice, `Vec::from_raw_parts` twice, `Rc` over-dropped, `ManuallyDrop` twice", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A17", title: "over-aligned blocks (64, 4096, 2 Mi) twice", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A18", title: "512 double frees, shuffled: dies at the first", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "A19", title: "remote free of p, then the owner's realloc(p) in place, usable_size(p), expand(p) before any collect", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B1", title: "free(1), free(8), free(0x1000), usize::MAX", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B2", title: "stack, alloca", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B3", title: "static, read-only data, a function", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B4", title: "the start and the middle of a private mmap", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B5", title: "a block of another allocator", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B6", title: "p + 1 GiB, p - 1 GiB", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B7", title: "above 2^47, kernel half, a tagged top byte", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B8", title: "p + 1 ... p + 15", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B9", title: "p + 16, p + 32: inside the block", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B10", title: "p + 4096 inside a large block", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B11", title: "a block boundary of the page that was never handed out", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B12", title: "beyond the page's capacity so far", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B13", title: "pointers into metadata, guards, the segment map", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B14", title: "fake headers made in user memory (house of spirit)", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B15", title: "uninitialised pointers (0xAA.., 0xDE..)", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "B16", title: "a block of a heap that was destroyed (with first-class heaps)", promises: ["D", "D", "D"], elsewhere: Some("unit tests `heap::tests::misuse`") },
    Row { id: "C1", title: "realloc(freed) to a larger size, freed by the owner or by another thread", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "C2", title: "realloc(freed) within its class", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "C3", title: "realloc(foreign), realloc(interior)", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "C4", title: "usable_size(freed), (interior), (foreign)", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "C5", title: "realloc with the wrong old Layout", promises: ["D (class, alignment)", "D (exact)", "D"], elsewhere: None },
    Row { id: "C6", title: "realloc in place after an overflow past the requested size", promises: ["-", "D", "D"], elsewhere: None },
    Row { id: "C7", title: "shrink, then write into the cut tail, then free", promises: ["-", "D", "D"], elsewhere: None },
    Row { id: "C8", title: "realloc to more than isize::MAX", promises: ["null, old block intact, errno ENOMEM", "null, old block intact, errno ENOMEM", "null, old block intact, errno ENOMEM"], elsewhere: None },
    Row { id: "D1", title: "one byte other than NUL past the requested size, inside the block (a NUL changes nothing: the trailer starts with one)", promises: ["-", "D at free", "D at free or F"], elsewhere: None },
    Row { id: "D2", title: "a linear write from the requested size on, through the trailer and over the block's end, bytes NUL or not", promises: ["- (large: F)", "D at the block's own free (large: F)", "F or D (large: F)"], elsewhere: None },
    Row { id: "D3", title: "8 and 32 bytes past the end, by loop and by memcpy", promises: ["-", "D at free", "F or D"], elsewhere: None },
    Row { id: "D4", title: "overflow, then free by another thread", promises: ["-", "D there", "D"], elsewhere: None },
    Row { id: "D5", title: "overflow, never freed", promises: ["-", "d at check_heap()/exit", "d"], elsewhere: None },
    Row { id: "D6", title: "past the end of a page", promises: ["-", "F", "F"], elsewhere: None },
    Row { id: "D7", title: "linear over- and underflow of 32 MiB, and of 1 MiB, from a small block", promises: ["F for 32 MiB; P for 1 MiB (unused slices are inaccessible)", "F", "F"], elsewhere: None },
    Row { id: "D8", title: "large block: first byte after the rounded end, first before the start", promises: ["F", "F", "F"], elsewhere: None },
    Row { id: "D9", title: "1 and 32 bytes before the start", promises: ["- (large: F)", "d (large: F)", "D or F"], elsewhere: None },
    Row { id: "D10", title: "malloc(0): read, write (usable size 0 in paranoid)", promises: ["P, state it", "F", "F"], elsewhere: None },
    Row { id: "D11", title: "a string that fills the block prints no secret byte (the canary starts with NUL)", promises: ["-", "N", "N"], elsewhere: None },
    Row { id: "D12", title: "tampering with the trailer so that it still looks like one", promises: ["-", "D", "D"], elsewhere: None },
    Row { id: "D13", title: "the write is done by a syscall (read(2)) across a guard: short count or EFAULT", promises: ["N", "N", "N"], elsewhere: None },
    Row { id: "E1", title: "read after free sees no old data", promises: ["-", "N", "F"], elsewhere: None },
    Row { id: "E2", title: "read and write after free, large", promises: ["F", "F", "F"], elsewhere: None },
    Row { id: "E3", title: "write the whole freed block, then allocate on", promises: ["d", "d", "F"], elsewhere: None },
    Row { id: "E4", title: "write one word in the middle; the last 8 bytes", promises: ["-", "d", "F"], elsewhere: None },
    Row { id: "E5", title: "flip any single bit of word 0", promises: ["d", "d", "F"], elsewhere: None },
    Row { id: "E6", title: "write one byte of word 0; two bytes; NUL", promises: ["d", "d", "F"], elsewhere: None },
    Row { id: "E7", title: "copy another free block's word 0 over this one's", promises: ["d", "d", "F"], elsewhere: None },
    Row { id: "E8", title: "the same while the block waits as a remote free", promises: ["N", "d", "F"], elsewhere: None },
    Row { id: "E9", title: "the next allocation of the size returns the block just freed", promises: ["P small, state it", "P(<= 1/64)", "N"], elsewhere: None },
    Row { id: "E10", title: "the write is found by check_heap() without further allocation", promises: ["d", "d", "F"], elsewhere: None },
    Row { id: "E11", title: "a freed struct of pointers is sprayed over by byte buffers of its class (Rust: `Vec<u8>`; C only through the explicit API)", promises: ["with `partition`: N", "N", "N"], elsewhere: None },
    Row { id: "E12", title: "access to a purged page (here and in E2, A12: unless the guards-left-out counter says so)", promises: ["F", "F", "F"], elsewhere: None },
    Row { id: "E13", title: "read and write after free, large blocks that come and go fast, with `RAVELIN_CLOSING_RATE` at its largest", promises: ["F", "F", "F"], elsewhere: None },
    Row { id: "E14", title: "the same, faster than they may be closed", promises: ["-", "F", "F"], elsewhere: None },
    Row { id: "F1", title: "free-list (tcache) poisoning: word 0 of a freed block aims at the stack, at a live block, at metadata", promises: ["d", "d", "d"], elsewhere: None },
    Row { id: "F2", title: "fastbin_dup, fastbin_dup_into_stack, house_of_botcake", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "F3", title: "house_of_spirit", promises: ["D", "D", "D"], elsewhere: Some("the cases of B14") },
    Row { id: "F4", title: "size-field corruption (overlapping_chunks, poison_null_byte, house_of_einherjar)", promises: ["N: no size in band", "N: no size in band", "N: no size in band"], elsewhere: None },
    Row { id: "F5", title: "unlink family (unsafe_unlink, large_bin, house_of_lore)", promises: ["N or d", "N or d", "N or d"], elsewhere: None },
    Row { id: "F6", title: "wilderness (house_of_force, house_of_orange)", promises: ["N", "N", "N"], elsewhere: None },
    Row { id: "F7", title: "overwriting the thread's heap structure by linear overflow", promises: ["F", "F", "F"], elsewhere: None },
    Row { id: "F8", title: "leak one link, forge another: the forger is *given the page key* and still gets only a free block of that page", promises: ["N", "N", "N"], elsewhere: Some("unit tests `page::tests::attacks`") },
    Row { id: "F9", title: "leak a canary, forge a link with it; 10^6 tries", promises: ["d", "d", "d"], elsewhere: None },
    Row { id: "F10", title: "link replay inside a page, 10^6 tries (not a block's own earlier link under the same key: there only \"no live overlap\" and check_heap count)", promises: ["d", "d", "d"], elsewhere: None },
    Row { id: "F11", title: "fork brute force: of 1,000 children no two share an allocation order, link key or new canary from the fork on (blocks live at the fork excepted); the same after a raw clone", promises: ["N", "N", "N"], elsewhere: None },
    Row { id: "F12", title: "sizes 622616, 655362, 786432; free the first twice with the others between (ArcHeap)", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "G1", title: "dealloc with a Layout of another class", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "G2", title: "dealloc with another size of the same class", promises: ["-", "D", "D"], elsewhere: None },
    Row { id: "G3", title: "dealloc with another alignment", promises: ["D where the class differs", "D", "D"], elsewhere: None },
    Row { id: "G4", title: "`Vec::from_raw_parts` with the wrong capacity, `Box<T>` freed as `Box<U>`, `String` from foreign memory", promises: ["D as G1", "D", "D"], elsewhere: None },
    Row { id: "G5", title: "alloc_zeroed after dirty frees, all classes; the tail after a grown zeroed block", promises: ["zero", "zero", "zero"], elsewhere: None },
    Row { id: "G6", title: "calloc and reallocarray overflow; isize::MAX, usize::MAX - k", promises: ["null", "null", "null"], elsewhere: None },
    Row { id: "G7", title: "alignment not a power of two, 1 << 62; size + alignment overflows", promises: ["null or EINVAL", "null or EINVAL", "null or EINVAL"], elsewhere: None },
    Row { id: "G8", title: "alignment 1 ... 2 GiB by size 0 ... 64 Mi: aligned, disjoint, freeable", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "H1", title: "a freed secret, the same class allocated again", promises: ["-", "zeros", "zeros"], elsewhere: None },
    Row { id: "H2", title: "a freed secret's page recycled to another class: neither the secret nor a link under a live key can be read", promises: ["no link", "neither", "neither"], elsewhere: None },
    Row { id: "H3", title: "a core dump holds no process secret", promises: ["N", "N", "N"], elsewhere: None },
    Row { id: "H4", title: "block placement over 1,000 runs: base entropy, chi-square of the slot choice", promises: ["state it", "state it", "state it"], elsewhere: None },
    Row { id: "I1", title: "fork storm from a multi-threaded process (10,000 forks); the child allocates and frees", promises: ["no deadlock; no shared randomness", "no deadlock; no shared randomness", "no deadlock; no shared randomness"], elsewhere: None },
    Row { id: "I2", title: "guards survive fork", promises: ["the child faults too", "the child faults too", "the child faults too"], elsewhere: None },
    Row { id: "I3", title: "100,000 short threads; blocks freed by others", promises: ["RSS level", "RSS level", "RSS level"], elsewhere: None },
    Row { id: "I4", title: "allocation and free in TLS destructors, atexit, static drop, after main", promises: ["works", "works", "works"], elsewhere: None },
    Row { id: "I5", title: "a thread whose only act is a free", promises: ["works", "works", "works"], elsewhere: None },
    Row { id: "I6", title: "mlockall(MCL_FUTURE)", promises: ["guards fall back", "guards fall back", "guards fall back"], elsewhere: None },
    Row { id: "I7", title: "seccomp refuses MADV_GUARD_INSTALL, mseal, getrandom", promises: ["degrades, says so in the statistics; no entropy at all: stops", "degrades, says so in the statistics; no entropy at all: stops", "degrades, says so in the statistics; no entropy at all: stops"], elsewhere: None },
    Row { id: "I8", title: "RLIMIT_AS 512 MiB, RLIMIT_DATA, overcommit 2", promises: ["starts; null on exhaustion", "starts; null on exhaustion", "starts; null on exhaustion"], elsewhere: None },
    Row { id: "I9", title: "vm.max_map_count nearly used up by the program", promises: ["goes on without guards; sticky counter", "goes on without guards; sticky counter", "goes on without guards; sticky counter"], elsewhere: None },
    Row { id: "I10", title: "corruption met while a lock is held, in a signal handler, in the handler's own hook", promises: ["reports once, never hangs", "reports once, never hangs", "reports once, never hangs"], elsewhere: None },
    Row { id: "I11", title: "16 KiB OS pages", promises: ["geometry asks at run time", "geometry asks at run time", "geometry asks at run time"], elsewhere: Some("aarch64 under emulation, `cargo xtask aarch64`") },
    Row { id: "I12", title: "transparent huge pages: never, and wherever the kernel can have them", promises: ["works", "works", "works"], elsewhere: None },
    Row { id: "J1", title: "free(null), realloc(null), usable_size(null)", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J2", title: "producers and consumers: blocks freed by threads that did not make them", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J3", title: "realloc storms", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J4", title: "user data that imitates links, trailers and zeros; bytes read from freed memory and stored again", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J5", title: "every alignment", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J6", title: "grow and shrink by realloc over every pair of classes, then dealloc with the new Layout", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J7", title: "fork from threads in the middle of malloc and free; the child uses and frees what they made", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J8", title: "a remote free that stalls between any two of its steps", promises: ["OK", "OK", "OK"], elsewhere: Some("`cargo xtask loom`") },
    Row { id: "J9", title: "exec", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J10", title: "quarantine at its largest", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J11", title: "many live small blocks", promises: ["OK", "OK", "OK"], elsewhere: None },
    Row { id: "J12", title: "a long soak with purging", promises: ["OK", "OK", "OK"], elsewhere: Some("`tests/soak.rs`, and `cargo xtask soak`") },
    Row { id: "J13", title: "random sequences against a shadow model", promises: ["OK", "OK", "OK"], elsewhere: Some("`tests/sequences.rs`, and the fuzz target `sequences`") },
    Row { id: "K1", title: "CVE-2021-3156, sudo: an argument is copied past the end of its buffer", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K2", title: "CVE-2023-6246, glibc's syslog: a buffer of one byte for a message of a thousand", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K3", title: "CVE-2023-38545, curl: a host name longer than the buffer of a SOCKS handshake", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K4", title: "CVE-2023-4863, libwebp: a table of Huffman codes is filled past its end, with gaps", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K5", title: "CVE-2021-3711, OpenSSL: up to 62 bytes more than the size that was told (SM2)", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K6", title: "CVE-2024-2961, glibc's iconv: an escape sequence of one to three bytes past the end", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K7", title: "CVE-2018-6789, Exim: one byte past the end of a base64 buffer", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K8", title: "CVE-2022-37434, zlib: an extra field is copied past the end of the caller's buffer", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K9", title: "CVE-2022-42475, FortiOS: a length that is cut for the allocation and not for the copy", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K10", title: "CVE-2023-27997, FortiOS: bytes past the end are XORed twice, so that one changes", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K11", title: "CVE-2021-30860, CoreGraphics: an array of pointers is too short (JBIG2)", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K12", title: "CVE-2022-0185, Linux: the room left is computed below zero", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K13", title: "CVE-2014-0160, OpenSSL: 64 KiB are read from a block of some bytes", promises: ["-", "-", "F"], elsewhere: None },
    Row { id: "K14", title: "CVE-2022-4450, OpenSSL: a header that was freed is left to the caller, who frees it (PEM)", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K15", title: "CVE-2023-25136, OpenSSH: an option's string is freed twice, with others between", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K16", title: "CVE-2019-11932, android-gif-drawable: realloc to no size, twice", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K17", title: "CVE-2022-2588, Linux: freed twice, its page taken for another class between", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K18", title: "CVE-2021-41073, Linux: a pointer is freed that was moved on", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K19", title: "CVE-2019-2215, Android's binder: a list is unlinked inside a freed block", promises: ["-", "d", "F"], elsewhere: None },
    Row { id: "K20", title: "CVE-2020-28018, Exim: a string is written to memory that was freed", promises: ["d", "d", "F"], elsewhere: None },
    Row { id: "K21", title: "CVE-2006-5051, OpenSSH: a signal handler does too much, and a block is freed twice", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K22", title: "CWE-415 across fork: a child frees what its parent had freed", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K23", title: "CVE-2018-1000810, Rust's str::repeat: the buffer's size overflowed", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K24", title: "CVE-2021-25900, smallvec: more elements come than were announced", promises: ["-", "D", "D or F"], elsewhere: None },
    Row { id: "K25", title: "CVE-2021-31162, Rust's Vec::from_iter: elements are dropped twice", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K26", title: "CVE-2019-15551, smallvec: grow frees the buffer that it keeps", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K27", title: "CVE-2021-45720, lru: a reference outlives the entry", promises: ["-", "N", "F"], elsewhere: None },
    Row { id: "K28", title: "Rust's Box::from_raw of what C's malloc gave (its documentation forbids it)", promises: ["D", "D", "D"], elsewhere: None },
    Row { id: "K29", title: "Rust's Arc::decrement_strong_count once too often from a callback (its documentation forbids it)", promises: ["d", "d", "F"], elsewhere: None },
    Row { id: "K30", title: "Clippy's `uninit_vec`: a reader is given a buffer whose bytes were never set", promises: ["-", "N", "N"], elsewhere: None },
    Row { id: "K31", title: "CWE-762: new with delete[], new[] with delete, a sized delete of another size", promises: ["-", "D", "D"], elsewhere: None },
];
