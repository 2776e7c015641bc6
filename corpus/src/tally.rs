//! How many cases came out in which way.

use crate::outcome::Outcome;
use crate::played::Played;
use std::collections::BTreeMap;

/// Counts of outcomes.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<Outcome, usize>);

impl Tally {
    /// Of these.
    pub fn of<'a>(played: impl IntoIterator<Item = &'a Played>) -> Tally {
        let mut tally = Tally::default();
        played.into_iter().for_each(|case| *tally.0.entry(case.outcome).or_default() += 1);
        tally
    }

    /// How many there are of one.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.get(&outcome).copied().unwrap_or(0)
    }

    /// Of all those that could be played.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().filter(|(outcome, _)| **outcome != Outcome::Skipped).map(|(_, count)| count).sum()
    }

    /// Misuses caught and correct things gone well.
    #[must_use]
    pub fn good(&self) -> usize {
        self.0.iter().filter(|(outcome, _)| outcome.is_good()).map(|(_, count)| count).sum()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Such as `D84`, or `D80 N4`.
    #[must_use]
    pub fn brief(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|(outcome, count)| format!("{}{count}", outcome.letter())).collect();
        parts.join(" ")
    }
}

/// Of these: misuses caught and correct things gone well, of all that could be played.
pub(crate) fn good_of<'a>(played: impl IntoIterator<Item = &'a Played>) -> String {
    let tally = Tally::of(played);
    format!("{}/{}", tally.good(), tally.total())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_count_what_was_caught_and_what_went_well() {
        let tally = Tally::of(&[
            Played::example("a", "A1", "D", Outcome::Died),
            Played::example("b", "A1", "D", Outcome::Skipped),
            Played::example("c", "A1", "D", Outcome::Reported),
            Played::example("d", "J1", "OK", Outcome::Well),
        ]);
        assert_eq!((tally.good(), tally.total()), (2, 3));
    }
}
