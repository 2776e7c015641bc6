//! A list of cases.

use super::Case;

/// Cases, as they are made. In a stage only the one that is to be played gets in: there the list takes next to no memory, so that
/// the play finds a heap that is nearly new.
#[derive(Debug, Default)]
pub struct Cases(Vec<Case>);

impl Cases {
    /// Takes it in.
    pub fn push(&mut self, case: Case) {
        if !case.is_left_out() {
            self.0.push(case);
        }
    }
}

impl Extend<Case> for Cases {
    fn extend<T: IntoIterator<Item = Case>>(&mut self, cases: T) {
        cases.into_iter().for_each(|case| self.push(case));
    }
}

impl FromIterator<Case> for Cases {
    fn from_iter<T: IntoIterator<Item = Case>>(cases: T) -> Cases {
        let mut list = Cases::default();
        list.extend(cases);
        list
    }
}

impl<const N: usize> From<[Case; N]> for Cases {
    fn from(cases: [Case; N]) -> Cases {
        cases.into_iter().collect()
    }
}

impl IntoIterator for Cases {
    type Item = Case;
    type IntoIter = std::vec::IntoIter<Case>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
