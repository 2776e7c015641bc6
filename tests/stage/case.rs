//! A case: what is played, what the build must have for it, and what must come of it.

use super::ending::End;
use ravelin::MITIGATIONS;
use std::process::Command;

/// What of [`MITIGATIONS`] a case counts on. A build without it ignores the case, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Holds in every build.
    Nothing,
    FreeChecks,
    EncodedLinks,
    RandomOrder,
    LayoutChecks,
    Canaries,
    /// Holds where there is no canary between blocks.
    NoCanaries,
    ZeroOnFree,
    /// Shows what a build *without* encoded links and free checks does not withstand.
    Weakness,
}

impl Needs {
    /// Why the case is not played in this build, if so.
    pub(crate) fn lacking(self) -> Option<&'static str> {
        let has = MITIGATIONS;
        let (present, reason) = match self {
            Needs::Nothing => (true, ""),
            Needs::FreeChecks => (has.free_checks, "holds only with free-checks"),
            Needs::EncodedLinks => (has.encoded_links, "holds only with encoded-links"),
            Needs::RandomOrder => (has.random_order, "holds only with random-order"),
            Needs::LayoutChecks => {
                (has.layout_checks && has.free_checks, "holds only with layout-checks and free-checks")
            }
            Needs::Canaries => (has.canaries, "holds only with canaries"),
            Needs::NoCanaries => (!has.canaries, "is found by canaries"),
            Needs::ZeroOnFree => (has.zero_on_free, "holds only with zero-on-free"),
            Needs::Weakness => (!has.free_checks && !has.encoded_links, "a weakness of builds without free-checks"),
        };
        (!present).then_some(reason)
    }
}

/// What must come of a case. Words are those that a report begins with, behind `ravelin: `; any of them will do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// The guilty call dies, with a report of the pointer that it was given.
    Dies(&'static [&'static str]),
    /// A later look at the block dies, with a report of it. The guilty call itself may die of it as well.
    DiesLater(&'static [&'static str]),
    /// The process dies with one report; which pointer it names is the play's affair.
    Reports(&'static [&'static str]),
    /// The access itself faults.
    Faults,
    /// Nothing: the play comes to its end, and not a word is on stderr.
    Survives,
    /// The same, and the play's last word is this: it is said when the rest of the process has ended.
    Says(&'static str),
    /// The process dies with one report that begins with these words, and this holds besides.
    ReportsAnd(&'static [&'static str], fn(&End) -> Result<(), String>),
}

impl Expect {
    /// Whether that is how the process ended.
    pub(crate) fn judge(&self, end: &End) -> Result<(), String> {
        match *self {
            Expect::Dies(words) => {
                end.died_of(libc::SIGABRT)?;
                if end.has_said("after") {
                    return Err("the guilty call returned".into());
                }
                end.reported(words)?.is_of(end)
            }
            Expect::DiesLater(words) => {
                end.died_of(libc::SIGABRT)?;
                end.reported(words)?.is_of(end)
            }
            Expect::Reports(words) => {
                end.died_of(libc::SIGABRT)?;
                end.reported(words).map(|_| ())
            }
            Expect::Faults => {
                end.died_of(libc::SIGSEGV)?;
                match (end.has_said("after"), end.ours().next()) {
                    (true, _) => Err("the access went through".into()),
                    (false, Some(line)) => Err(format!("not silent: {line}")),
                    (false, None) => end.mark().map(|_| ()),
                }
            }
            Expect::Survives => {
                end.exited_well()?;
                end.ours().next().map_or(Ok(()), |line| Err(format!("flagged: {line}")))
            }
            Expect::Says(word) => {
                Expect::Survives.judge(end)?;
                if end.has_said(word) { Ok(()) } else { Err(format!("should have said {word:?} at last")) }
            }
            Expect::ReportsAnd(words, holds) => {
                Expect::Reports(words).judge(end)?;
                holds(end)
            }
        }
    }
}

/// What is to be played, and what must come of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) needs: Needs,
    pub(crate) expect: Expect,
    /// Changes to how the stage is started.
    pub(crate) arrange: fn(&mut Command),
    pub(crate) play: Box<dyn FnOnce() + Send>,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        needs: Needs,
        expect: Expect,
        play: impl FnOnce() + Send + 'static,
    ) -> Case {
        Case { name: name.into(), needs, expect, arrange: |_| {}, play: Box::new(play) }
    }

    /// A misuse that the guilty call must die of, in a build with `free-checks`.
    pub(crate) fn dies(
        name: impl Into<String>,
        words: &'static [&'static str],
        play: impl FnOnce() + Send + 'static,
    ) -> Case {
        Case::new(name, Needs::FreeChecks, Expect::Dies(words), play)
    }

    /// Something correct.
    pub(crate) fn survives(name: impl Into<String>, play: impl FnOnce() + Send + 'static) -> Case {
        Case::new(name, Needs::Nothing, Expect::Survives, play)
    }

    /// Starts the stage in another way.
    pub(crate) fn arranged(mut self, arrange: fn(&mut Command)) -> Case {
        self.arrange = arrange;
        self
    }

    pub(crate) fn needing(mut self, needs: Needs) -> Case {
        self.needs = needs;
        self
    }
}
