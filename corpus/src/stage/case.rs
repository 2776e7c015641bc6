//! A case: what is played, what the build must have for it, and what must come of it.

use super::ending::End;
use super::is_wanted;
use crate::allocator;
use crate::table::{Column, Row, row};
use core::fmt;
use ravelin_testing::Expect as Basic;
use std::process::Command;

/// Which defences a case counts on, by the names of the features. A build without them does not play the case, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    all: &'static [&'static str],
    none: &'static [&'static str],
}

impl Needs {
    /// Holds in every build.
    pub const NOTHING: Needs = Needs::all(&[]);
    /// State bits.
    pub const FREE_CHECKS: Needs = Needs::all(&["free-checks"]);
    /// Links that are checked.
    pub const ENCODED_LINKS: Needs = Needs::all(&["encoded-links"]);
    /// Chance inside pages.
    pub const RANDOM_ORDER: Needs = Needs::all(&["random-order"]);
    /// A Layout that is compared.
    pub const LAYOUT_CHECKS: Needs = Needs::all(&["layout-checks", "free-checks"]);
    /// A trailer behind the requested size.
    pub const CANARIES: Needs = Needs::all(&["canaries"]);
    /// Wiped, and looked at again.
    pub const ZERO_ON_FREE: Needs = Needs::all(&["zero-on-free"]);
    /// Freed blocks wait.
    pub const QUARANTINE: Needs = Needs::all(&["quarantine"]);
    /// An inaccessible page after every page.
    pub const PAGE_GUARDS: Needs = Needs::all(&["page-guards"]);
    /// Blocks of no bytes have pages of their own.
    pub const VOIDS: Needs = Needs::all(&["page-guards", "free-checks"]);
    /// What never changes is sealed.
    pub const SEALED: Needs = Needs::all(&["sealed"]);
    /// By what a block was allocated, and with which size.
    pub const ORIGIN_CHECKS: Needs = Needs::all(&["origin-checks", "canaries"]);
    /// Blocks without pointers lie apart.
    pub const PARTITION: Needs = Needs::all(&["partition"]);
    /// Every block stands alone (with N = 1).
    pub const SAMPLED_GUARDS: Needs = Needs::all(&["sampled-guards"]);
    /// Shows what a build *without* encoded links and free checks does not withstand.
    pub const WEAKNESS: Needs = Needs { all: &[], none: &["free-checks", "encoded-links"] };

    /// All of these features.
    #[must_use]
    pub const fn all(all: &'static [&'static str]) -> Needs {
        Needs { all, none: &[] }
    }

    /// Why the case is not played in this build, if so.
    #[must_use]
    pub fn lacking(self) -> Option<String> {
        if let Some(name) = self.none.iter().find(|name| allocator::has(name)) {
            return Some(format!("a weakness of builds without {name}"));
        }
        let lacking: Vec<&str> = self.all.iter().copied().filter(|name| !allocator::has(name)).collect();
        (!lacking.is_empty()).then(|| format!("holds only with {}", lacking.join(" and ")))
    }
}

/// What must come of a case. Words are those that a report begins with, behind `ravelin: `; any of them will do.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// The guilty call dies, with a report of the pointer that it was given.
    Dies(&'static [&'static str]),
    /// A later look at the block dies, with a report of it. The guilty call itself may die of it as well.
    DiesLater(&'static [&'static str]),
    /// The process dies with one report; which pointer it names is the play's affair.
    Reports(&'static [&'static str]),
    /// The access itself faults. Where guards are watched there may be a report of it.
    Faults,
    /// The access faults, or the process is stopped at the latest at the block's next free, with such a report.
    FaultsOrDies(&'static [&'static str]),
    /// Nothing: the play comes to its end, and not a word is on stderr.
    Survives,
    /// The same, and the play's last word is this: it is said when the rest of the process has ended.
    Says(&'static str),
    /// The access faults, or the play's last word is this.
    FaultsOrSays(&'static str),
    /// The process dies with one report that begins with these words, and this holds besides.
    ReportsAnd(&'static [&'static str], fn(&End) -> Result<(), String>),
    /// No effect worth having, or stopped with such a report.
    HarmlessOrDies(&'static [&'static str]),
    /// Nothing is promised: what happens is recorded.
    Open,
    /// Nothing is promised, and chance decides: it hangs on who lies beside the block. Played, and not recorded.
    Chance,
}

impl Expect {
    /// Whether that is how the process ended.
    ///
    /// # Errors
    /// Says how it did not.
    pub fn judge(&self, end: &End) -> Result<(), String> {
        let check = |basic: Basic<'_>| end.basic().check(basic).map_err(|why| why.to_string());
        let harmless = || end.harm().map_or(Ok(()), |harm| Err(format!("it came to harm: {harm}")));
        match *self {
            Expect::Dies(words) => {
                end.is_told()?;
                check(Basic::Dies(words))
            }
            Expect::DiesLater(words) => {
                end.is_told()?;
                harmless()?;
                check(Basic::DiesLater(words))
            }
            Expect::Reports(words) => check(Basic::Reports(words)),
            Expect::Faults => {
                end.is_told()?;
                if !end.is_stopped_in_access() {
                    return Err("no access was stopped".into());
                }
                // Where guards are watched, the report of the access ends the process.
                check(Basic::Faults).or_else(|why| check(Basic::Reports(ACCESSES)).map_err(|_| why))
            }
            Expect::FaultsOrDies(words) => Expect::Faults.judge(end).or_else(|why| {
                Expect::DiesLater(words)
                    .judge(end)
                    .map_err(|other| format!("neither a fault ({why}) nor a report ({other})"))
            }),
            Expect::Survives => {
                harmless()?;
                check(Basic::Survives)?;
                end.ours().next().map_or(Ok(()), |line| Err(format!("flagged: {line}")))
            }
            Expect::Says(word) => {
                Expect::Survives.judge(end)?;
                if end.has_said(word) { Ok(()) } else { Err(format!("should have said {word:?} at last")) }
            }
            Expect::FaultsOrSays(word) => Expect::Faults.judge(end).or_else(|_| Expect::Says(word).judge(end)),
            Expect::ReportsAnd(words, holds) => {
                Expect::Reports(words).judge(end)?;
                holds(end)
            }
            Expect::HarmlessOrDies(words) => {
                harmless()?;
                Expect::Survives.judge(end).or_else(|_| Expect::Reports(words).judge(end))
            }
            Expect::Open | Expect::Chance => Ok(()),
        }
    }

    /// Whether the play may come to its end.
    #[must_use]
    pub fn is_survival(&self) -> bool {
        matches!(self, Expect::Survives | Expect::Says(_) | Expect::FaultsOrSays(_) | Expect::HarmlessOrDies(_))
    }

    /// The letter of the table that this is a form of.
    #[must_use]
    pub fn letter(&self) -> &'static str {
        match self {
            Expect::Dies(_) => "D",
            Expect::DiesLater(_) | Expect::Reports(_) | Expect::ReportsAnd(..) => "d",
            Expect::Faults => "F",
            Expect::FaultsOrDies(_) | Expect::FaultsOrSays(_) => "D or F",
            Expect::Survives | Expect::Says(_) => "OK",
            Expect::HarmlessOrDies(_) => "N or d",
            Expect::Open => "-",
            Expect::Chance => "- by chance",
        }
    }
}

/// What is said of an access that has met a guard.
const ACCESSES: &[&str] = &["buffer overflow", "buffer underflow", "use after free"];

/// What is promised in one column, and on what that counts.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// What the build must have.
    pub needs: Needs,
    /// What must come of it then.
    pub expect: Expect,
}

/// Who can play it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callable {
    /// Any `malloc`.
    C,
    /// Ravelin only: it asks for a Layout, or for what only Ravelin can say.
    Own,
}

/// What is to be played, and what must come of it.
pub struct Case {
    /// Begins with the row's: `a13_page_reborn/64/same_thread`.
    pub name: String,
    /// In the columns h, p and g.
    pub cells: [Cell; 3],
    /// Changes to how the stage is started.
    pub arrange: fn(&mut Command),
    /// Who can play it.
    pub callable: Callable,
    /// Takes seconds, and is played only when asked for.
    pub slow: bool,
    /// What happens on the stage.
    pub play: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("cells", &self.cells).finish_non_exhaustive()
    }
}

impl Case {
    /// A case that is the same in all columns.
    ///
    /// What a stage does not play takes no memory there: see [`Cases`](super::Cases).
    pub fn new(name: impl fmt::Display, needs: Needs, expect: Expect, play: impl FnOnce() + Send + 'static) -> Case {
        if !is_wanted(&name) {
            return Case::made(String::new(), needs, expect, Box::new(|| {}));
        }
        Case::made(name.to_string(), needs, expect, Box::new(play))
    }

    /// Whether it is one that this process will not play, and without a name.
    pub(super) fn is_left_out(&self) -> bool {
        self.name.is_empty()
    }

    fn made(name: String, needs: Needs, expect: Expect, play: Box<dyn FnOnce() + Send>) -> Case {
        Case { name, cells: [Cell { needs, expect }; 3], arrange: |_| {}, callable: Callable::C, slow: false, play }
    }

    /// A misuse that the guilty call must die of, in a build with `free-checks`.
    pub fn dies(name: impl fmt::Display, words: &'static [&'static str], play: impl FnOnce() + Send + 'static) -> Case {
        Case::new(name, Needs::FREE_CHECKS, Expect::Dies(words), play)
    }

    /// Something correct.
    pub fn survives(name: impl fmt::Display, play: impl FnOnce() + Send + 'static) -> Case {
        Case::new(name, Needs::NOTHING, Expect::Survives, play)
    }

    /// A misuse of which nothing is promised, unless the columns that follow say so.
    pub fn open(name: impl fmt::Display, play: impl FnOnce() + Send + 'static) -> Case {
        Case::new(name, Needs::NOTHING, Expect::Open, play)
    }

    /// Starts the stage in another way.
    #[must_use]
    pub fn arranged(mut self, arrange: fn(&mut Command)) -> Case {
        self.arrange = arrange;
        self
    }

    /// In all columns.
    #[must_use]
    pub fn needing(mut self, needs: Needs) -> Case {
        self.cells.iter_mut().for_each(|cell| cell.needs = needs);
        self
    }

    /// In one column.
    #[must_use]
    pub fn with(mut self, column: Column, needs: Needs, expect: Expect) -> Case {
        self.cells[column as usize] = Cell { needs, expect };
        self
    }

    /// In the columns p and g.
    #[must_use]
    pub fn paranoid(self, needs: Needs, expect: Expect) -> Case {
        self.with(Column::P, needs, expect).with(Column::G, needs, expect)
    }

    /// The access faults in all columns, whatever else was said.
    #[must_use]
    pub fn faulting(mut self) -> Case {
        self.cells = [Cell { needs: Needs::NOTHING, expect: Expect::Faults }; 3];
        self
    }

    /// In the column g.
    #[must_use]
    pub fn guarded(self, expect: Expect) -> Case {
        self.with(Column::G, Needs::SAMPLED_GUARDS, expect)
    }

    /// Not for every `malloc`.
    #[must_use]
    pub fn own(mut self) -> Case {
        self.callable = Callable::Own;
        self
    }

    /// Takes long.
    #[must_use]
    pub fn slow(mut self) -> Case {
        self.slow = true;
        self
    }

    /// The row of the table.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        let id = self.name.split(['_', '/']).next().unwrap_or_default();
        row(id).unwrap_or_else(|| panic!("{} is of no row", self.name))
    }

    /// What is promised in a column.
    #[must_use]
    pub fn cell(&self, column: Column) -> Cell {
        self.cells[column as usize]
    }
}
