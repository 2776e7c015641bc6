//! The options: one row each. To add one, add a variant to [`Setting`] and, at the same place, a row to [`TABLE`].

use crate::mitigations::MITIGATIONS;

/// An option, and the index of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Setting {
    Verbose,
    ShowStats,
    ShowErrors,
    PurgeDelay,
    ArenaReserve,
    QuarantineBytes,
    QuarantineCount,
    ClosingRate,
    GuardLimit,
    HugePages,
    AbandonedLimit,
    SampledGuards,
    SampledPool,
    BlockQuarantine,
    WipeLimit,
    CheckAtExit,
    Stats,
    MaxErrors,
    MaxWarnings,
    EagerCommit,
    ArenaEagerCommit,
    PurgeDecommits,
    AllowLargeOsPages,
    ReserveHugeOsPages,
    ReserveHugeOsPagesAt,
    ReserveOsMemory,
    SegmentCache,
    PageReset,
    AbandonedPagePurge,
    SegmentReset,
    EagerCommitDelay,
    UseNumaNodes,
    DisallowOsAlloc,
    OsTag,
    MaxSegmentReclaim,
    DestroyOnExit,
    ArenaPurgeMult,
    PurgeExtendDelay,
    AbandonedReclaimOnFree,
    DisallowArenaAlloc,
    RetryOnOom,
}

/// Whether an option does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does what its line of documentation says.
    Some,
    /// An option of mimalloc that means nothing here: known by mimalloc's name only, kept for those who ask for its value.
    None,
}

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// 0 or 1; in the environment also words such as `yes` and `off`.
    Switch,
    /// A number of things.
    Count,
    /// A time; -1 stands for never.
    Milliseconds,
    /// A size; in the environment with an optional suffix.
    Bytes,
    /// One of the [`FORMS`] of statistics, by its name; the number is its place.
    Form,
}

/// The values of an option of unit [`Unit::Form`].
pub(crate) const FORMS: [&str; 4] = ["off", "table", "mimalloc", "json"];

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its index, to be compared with its place.
    pub(crate) setting: Setting,
    /// The name behind `RAVELIN_`, in capitals.
    pub(crate) name: &'static str,
    /// The name behind `MIMALLOC_`, if mimalloc has such an option.
    pub(crate) mimalloc: Option<&'static str>,
    /// An older name of the same option of mimalloc.
    pub(crate) mimalloc_old: Option<&'static str>,
    pub(crate) unit: Unit,
    pub(crate) default: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) effect: Effect,
    /// What it does, in a line.
    pub(crate) doc: &'static str,
}

impl Row {
    /// A row of an option that mimalloc does not have. The bounds are for the setters below to narrow.
    const fn new(setting: Setting, name: &'static str, unit: Unit, default: i64, doc: &'static str) -> Row {
        let (min, max) = match unit {
            Unit::Switch => (0, 1),
            Unit::Milliseconds => (-1, i32::MAX as i64),
            Unit::Count | Unit::Bytes => (0, i32::MAX as i64),
            Unit::Form => (0, FORMS.len() as i64 - 1),
        };
        Row { setting, name, mimalloc: None, mimalloc_old: None, unit, default, min, max, effect: Effect::Some, doc }
    }

    /// A row of an option of mimalloc that means nothing here. Any number of its unit will do.
    const fn kept(setting: Setting, mimalloc: &'static str, unit: Unit, default: i64) -> Row {
        // The store reserves the least number.
        let mut row =
            Row::new(setting, mimalloc, unit, default, "Of mimalloc, and has no meaning here.").also(mimalloc);
        row.effect = Effect::None;
        row.within(i64::MIN + 1, i64::MAX)
    }

    const fn within(mut self, min: i64, max: i64) -> Row {
        self.min = min;
        self.max = max;
        self
    }

    const fn also(mut self, mimalloc: &'static str) -> Row {
        self.mimalloc = Some(mimalloc);
        self
    }

    const fn formerly(mut self, mimalloc_old: &'static str) -> Row {
        self.mimalloc_old = Some(mimalloc_old);
        self
    }
}

const KIB: i64 = 1 << 10;
const MIB: i64 = 1 << 20;
const GIB: i64 = 1 << 30;
const TIB: i64 = 1 << 40;

/// How many freed large blocks wait, and MiB of them. Their memory waits with them.
const RANGES: i64 = if MITIGATIONS.quarantine { 8 } else { 4 };

/// How many options there are.
pub(crate) const COUNT: usize = 41;

/// All options, in the order of [`Setting`].
pub(crate) static TABLE: [Row; COUNT] = [
    Row::new(
        Setting::Verbose,
        "VERBOSE",
        Unit::Count,
        0,
        "1 prints version, defences and options at start; higher levels print more.",
    )
    .within(0, 3)
    .also("VERBOSE"),
    Row::new(Setting::ShowStats, "SHOW_STATS", Unit::Switch, 0, "Prints statistics when the process exits.")
        .also("SHOW_STATS"),
    Row::new(
        Setting::ShowErrors,
        "SHOW_ERRORS",
        Unit::Switch,
        0,
        "Prints errors that do not end the process, such as exhausted memory. Reports of misuse are always printed.",
    )
    .also("SHOW_ERRORS"),
    Row::new(
        Setting::PurgeDelay,
        "PURGE_DELAY",
        Unit::Milliseconds,
        100,
        "How long free memory is kept before it is given back to the system; 0 is at once, -1 is never.",
    )
    .also("PURGE_DELAY")
    .formerly("RESET_DELAY"),
    Row::new(
        Setting::ArenaReserve,
        "ARENA_RESERVE",
        Unit::Bytes,
        GIB,
        "How much address space is reserved at a time; less if the system refuses.",
    )
    .within(64 * MIB, 16 * TIB)
    .also("ARENA_RESERVE"),
    Row::new(
        Setting::QuarantineBytes,
        "QUARANTINE_BYTES",
        Unit::Bytes,
        RANGES * MIB,
        "How many bytes of freed large blocks stay inaccessible before their addresses are used again.",
    )
    .within(0, TIB),
    Row::new(
        Setting::QuarantineCount,
        "QUARANTINE_COUNT",
        Unit::Count,
        RANGES,
        "How many freed large blocks stay inaccessible before their addresses are used again.",
    )
    .within(0, 256),
    Row::new(
        Setting::ClosingRate,
        "CLOSING_RATE",
        Unit::Bytes,
        GIB,
        "How many bytes of freed large blocks are made inaccessible at once in a second, and a thirty-second of that ahead; more only later.",
    )
    .within(GIB, 16 * TIB),
    Row::new(
        Setting::GuardLimit,
        "GUARD_LIMIT",
        Unit::Count,
        0,
        "How many of the kernel's mappings guards may use where they cost some; 0 is half of vm.max_map_count.",
    ),
    Row::new(
        Setting::HugePages,
        "HUGE_PAGES",
        Unit::Switch,
        1,
        "Asks the system for huge pages where a heap is large, and for large blocks.",
    ),
    Row::new(
        Setting::AbandonedLimit,
        "ABANDONED_LIMIT",
        Unit::Count,
        4096,
        "How many pages of ended threads a thread has by freeing into them, before it leaves them to others.",
    )
    .within(0, 64 * KIB),
    Row::new(
        Setting::SampledGuards,
        "SAMPLED_GUARDS",
        Unit::Count,
        0,
        "One allocation in so many stands alone between guards, and faults are explained; 1 is all, 0 is none.",
    )
    .within(0, u32::MAX as i64),
    Row::new(
        Setting::SampledPool,
        "SAMPLED_POOL",
        Unit::Bytes,
        512 * MIB,
        "How many bytes of address space of freed blocks that stood alone stay inaccessible, 64 KiB at least for each.",
    )
    .within(0, TIB),
    Row::new(
        Setting::BlockQuarantine,
        "BLOCK_QUARANTINE",
        Unit::Bytes,
        256 * KIB,
        "How many bytes of freed small blocks wait in a thread before they are handed out again, with the quarantine built in.",
    )
    .within(4 * KIB, GIB),
    Row::new(
        Setting::WipeLimit,
        "WIPE_LIMIT",
        Unit::Bytes,
        128 * KIB,
        "How many bytes of a freed block are wiped, and found wiped when it is handed out, with zero-on-free built in.",
    )
    .within(KIB, 128 * KIB),
    Row::new(
        Setting::CheckAtExit,
        "CHECK_AT_EXIT",
        Unit::Switch,
        0,
        "Checks the heap when the process exits: canaries, lists and freed blocks, as far as they are built in.",
    ),
    Row::new(
        Setting::Stats,
        "STATS",
        Unit::Form,
        0,
        "The form of the statistics that are printed when the process exits: off, table, mimalloc or json.",
    ),
    Row::new(Setting::MaxErrors, "MAX_ERRORS", Unit::Count, 32, "How many errors are printed; -1 is all.")
        .within(-1, i32::MAX as i64)
        .also("MAX_ERRORS"),
    Row::new(Setting::MaxWarnings, "MAX_WARNINGS", Unit::Count, 32, "How many warnings are printed; -1 is all.")
        .within(-1, i32::MAX as i64)
        .also("MAX_WARNINGS"),
    Row::kept(Setting::EagerCommit, "EAGER_COMMIT", Unit::Count, 1),
    Row::kept(Setting::ArenaEagerCommit, "ARENA_EAGER_COMMIT", Unit::Count, 2).formerly("EAGER_REGION_COMMIT"),
    Row::kept(Setting::PurgeDecommits, "PURGE_DECOMMITS", Unit::Count, 1).formerly("RESET_DECOMMITS"),
    Row::kept(Setting::AllowLargeOsPages, "ALLOW_LARGE_OS_PAGES", Unit::Count, 0).formerly("LARGE_OS_PAGES"),
    Row::new(
        Setting::ReserveHugeOsPages,
        "RESERVE_HUGE_OS_PAGES",
        Unit::Count,
        0,
        "How many pages of 1 GiB are taken at the start, of those that the system has set aside.",
    )
    .also("RESERVE_HUGE_OS_PAGES"),
    Row::new(
        Setting::ReserveHugeOsPagesAt,
        "RESERVE_HUGE_OS_PAGES_AT",
        Unit::Count,
        -1,
        "Of which node of the machine these pages are; -1 is any.",
    )
    .within(-1, 255)
    .also("RESERVE_HUGE_OS_PAGES_AT"),
    Row::new(
        Setting::ReserveOsMemory,
        "RESERVE_OS_MEMORY",
        Unit::Bytes,
        0,
        "How much address space is reserved at the start, beside what is reserved when it is needed.",
    )
    .within(0, 16 * TIB)
    .also("RESERVE_OS_MEMORY"),
    Row::kept(Setting::SegmentCache, "DEPRECATED_SEGMENT_CACHE", Unit::Count, 0),
    Row::kept(Setting::PageReset, "DEPRECATED_PAGE_RESET", Unit::Count, 0),
    Row::kept(Setting::AbandonedPagePurge, "ABANDONED_PAGE_PURGE", Unit::Count, 0).formerly("ABANDONED_PAGE_RESET"),
    Row::kept(Setting::SegmentReset, "DEPRECATED_SEGMENT_RESET", Unit::Count, 0),
    Row::kept(Setting::EagerCommitDelay, "EAGER_COMMIT_DELAY", Unit::Count, 1),
    Row::kept(Setting::UseNumaNodes, "USE_NUMA_NODES", Unit::Count, 0),
    Row::kept(Setting::DisallowOsAlloc, "DISALLOW_OS_ALLOC", Unit::Count, 0).formerly("LIMIT_OS_ALLOC"),
    Row::kept(Setting::OsTag, "OS_TAG", Unit::Count, 100),
    Row::kept(Setting::MaxSegmentReclaim, "MAX_SEGMENT_RECLAIM", Unit::Count, 10),
    Row::kept(Setting::DestroyOnExit, "DESTROY_ON_EXIT", Unit::Count, 0),
    Row::kept(Setting::ArenaPurgeMult, "ARENA_PURGE_MULT", Unit::Count, 10),
    Row::kept(Setting::PurgeExtendDelay, "PURGE_EXTEND_DELAY", Unit::Count, 1).formerly("DECOMMIT_EXTEND_DELAY"),
    Row::kept(Setting::AbandonedReclaimOnFree, "ABANDONED_RECLAIM_ON_FREE", Unit::Count, 1),
    Row::kept(Setting::DisallowArenaAlloc, "DISALLOW_ARENA_ALLOC", Unit::Count, 0),
    Row::kept(Setting::RetryOnOom, "RETRY_ON_OOM", Unit::Milliseconds, 400),
];

/// The options of mimalloc 2.1.7, by its numbers.
pub(crate) static BY_NUMBER: [Setting; 29] = [
    Setting::ShowErrors,
    Setting::ShowStats,
    Setting::Verbose,
    Setting::EagerCommit,
    Setting::ArenaEagerCommit,
    Setting::PurgeDecommits,
    Setting::AllowLargeOsPages,
    Setting::ReserveHugeOsPages,
    Setting::ReserveHugeOsPagesAt,
    Setting::ReserveOsMemory,
    Setting::SegmentCache,
    Setting::PageReset,
    Setting::AbandonedPagePurge,
    Setting::SegmentReset,
    Setting::EagerCommitDelay,
    Setting::PurgeDelay,
    Setting::UseNumaNodes,
    Setting::DisallowOsAlloc,
    Setting::OsTag,
    Setting::MaxErrors,
    Setting::MaxWarnings,
    Setting::MaxSegmentReclaim,
    Setting::DestroyOnExit,
    Setting::ArenaReserve,
    Setting::ArenaPurgeMult,
    Setting::PurgeExtendDelay,
    Setting::AbandonedReclaimOnFree,
    Setting::DisallowArenaAlloc,
    Setting::RetryOnOom,
];

/// Names in mimalloc's environment that are no options of 2.1.7: accepted without a word, and listed by `RAVELIN_VERBOSE=1`.
pub(crate) static WITHOUT_MEANING: [&str; 4] = ["DISABLE_REDIRECT", "PAGE_RESET", "SEGMENT_CACHE", "SEGMENT_RESET"];

impl Setting {
    /// The row of the option.
    pub(crate) fn row(self) -> &'static Row {
        // The table is complete (the tests below), so the first row never stands in for another.
        let [first, ..] = &TABLE;
        TABLE.get(self as usize).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_the_row_of_its_index() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.setting as usize, index, "{}", row.name);
            assert_eq!(row.setting.row().name, row.name);
        }
        // The last variant: a new one without a row fails here.
        assert_eq!(Setting::RetryOnOom as usize, COUNT - 1);
    }

    #[test]
    fn every_default_lies_within_its_bounds() {
        for row in &TABLE {
            assert!(row.min <= row.default && row.default <= row.max, "{}", row.name);
            // Reserved by the store for "not read yet".
            assert!(row.min > i64::MIN, "{}", row.name);
        }
    }

    #[test]
    fn every_row_is_documented_in_one_line_and_named_in_capitals() {
        for row in &TABLE {
            assert!(row.doc.ends_with('.') && !row.doc.contains('\n'), "{}", row.name);
            let names = [Some(row.name), row.mimalloc, row.mimalloc_old];
            for name in names.into_iter().flatten().chain(WITHOUT_MEANING) {
                assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{name}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn every_option_is_in_the_readme_and_in_the_man_page_and_known_to_the_fuzzer() {
        for file in ["README.md", "libravelin/packaging/ravelin.3", "fuzz/options.dict"] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            // A package as it is published has no libraries beside it.
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            for row in TABLE.iter().filter(|row| row.effect == Effect::Some) {
                let name = std::format!("RAVELIN_{}", row.name);
                assert!(text.contains(&name), "{file} does not tell of {name}");
            }
        }
    }

    #[test]
    fn mimallocs_numbers_name_each_of_its_options_once() {
        for row in &TABLE {
            let numbers = BY_NUMBER.iter().filter(|setting| **setting == row.setting).count();
            assert_eq!(numbers, usize::from(row.mimalloc.is_some()), "{}", row.name);
        }
    }

    #[test]
    fn no_two_options_share_a_name() {
        for (index, row) in TABLE.iter().enumerate() {
            for other in TABLE.iter().skip(index + 1) {
                assert_ne!(row.name, other.name);
                assert!(row.mimalloc.is_none() || row.mimalloc != other.mimalloc);
            }
            for name in [row.mimalloc, row.mimalloc_old].into_iter().flatten() {
                assert!(!WITHOUT_MEANING.contains(&name), "{name}");
            }
        }
    }
}
