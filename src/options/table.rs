//! The options: one row each. To add one, add a variant to [`Setting`] and, at the same place, a row to [`TABLE`].

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
    GuardLimit,
    AbandonedLimit,
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
}

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
        };
        Row { setting, name, mimalloc: None, mimalloc_old: None, unit, default, min, max, doc }
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

/// How many options there are.
pub(crate) const COUNT: usize = 9;

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
        1,
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
        32 * MIB,
        "How many bytes of freed large blocks stay inaccessible before their addresses are used again.",
    )
    .within(0, TIB),
    Row::new(
        Setting::QuarantineCount,
        "QUARANTINE_COUNT",
        Unit::Count,
        16,
        "How many freed large blocks stay inaccessible before their addresses are used again.",
    )
    .within(0, 64 * KIB),
    Row::new(
        Setting::GuardLimit,
        "GUARD_LIMIT",
        Unit::Count,
        0,
        "How many of the kernel's mappings guards may use where they cost some; 0 is half of vm.max_map_count.",
    ),
    Row::new(
        Setting::AbandonedLimit,
        "ABANDONED_LIMIT",
        Unit::Count,
        16,
        "How many pages of ended threads a thread adopts by freeing into them, before it leaves them to others.",
    )
    .within(0, 64 * KIB),
];

/// Options of mimalloc 2.1.7 that mean nothing here: accepted without a word, and listed by `RAVELIN_VERBOSE=1`.
pub(crate) static WITHOUT_MEANING: [&str; 34] = [
    "ABANDONED_PAGE_PURGE",
    "ABANDONED_PAGE_RESET",
    "ABANDONED_RECLAIM_ON_FREE",
    "ALLOW_LARGE_OS_PAGES",
    "ARENA_EAGER_COMMIT",
    "ARENA_PURGE_MULT",
    "DECOMMIT_EXTEND_DELAY",
    "DEPRECATED_PAGE_RESET",
    "DEPRECATED_SEGMENT_CACHE",
    "DEPRECATED_SEGMENT_RESET",
    "DESTROY_ON_EXIT",
    "DISALLOW_ARENA_ALLOC",
    "DISALLOW_OS_ALLOC",
    "EAGER_COMMIT",
    "EAGER_COMMIT_DELAY",
    "EAGER_REGION_COMMIT",
    "LARGE_OS_PAGES",
    "LIMIT_OS_ALLOC",
    "MAX_ERRORS",
    "MAX_SEGMENT_RECLAIM",
    "MAX_WARNINGS",
    "OS_TAG",
    "PAGE_RESET",
    "PURGE_DECOMMITS",
    "PURGE_EXTEND_DELAY",
    "RESERVE_HUGE_OS_PAGES",
    "RESERVE_HUGE_OS_PAGES_AT",
    "RESERVE_OS_MEMORY",
    "RESET_DECOMMITS",
    "RETRY_ON_OOM",
    "SEGMENT_CACHE",
    "SEGMENT_RESET",
    "USE_NUMA_NODES",
    "DISABLE_REDIRECT",
];

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
        assert_eq!(Setting::AbandonedLimit as usize, COUNT - 1);
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
