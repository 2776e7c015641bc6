//! A report: the one line that a hardened allocator writes before it ends the process.

/// A line such as
/// `ravelin: double free of 0x7f3a5c0012c0 (block of class 64, page 0x7f3a5c000000, segment 3) by thread 4711`, taken apart.
///
/// ```
/// let line = "ravelin: use after free in realloc of 0x12c0 (block of class 64, page 0x1000, segment 3) by thread 4711";
/// let report = ravelin_testing::Report::parse(line).unwrap();
/// assert!(report.begins_with(ravelin_testing::words::USE_AFTER_FREE));
/// assert_eq!(report.address(), Some(0x12c0));
/// assert_eq!(report.thread(), Some(4711));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    line: &'a str,
    text: &'a str,
}

const NAME: &str = "ravelin: ";
/// Behind the name, in lines after which the process goes on or that belong to the report before them.
const NO_REPORT: [&str; 3] = ["warning:", " ", "\t"];

impl<'a> Report<'a> {
    /// Takes a line for a report, if it is one.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Report<'a>> {
        let text = line.strip_prefix(NAME)?;
        (!NO_REPORT.iter().any(|other| text.starts_with(other))).then_some(Report { line, text })
    }

    /// The whole line.
    #[must_use]
    pub fn line(&self) -> &'a str {
        self.line
    }

    /// Whether the report begins with these words.
    #[must_use]
    pub fn begins_with(&self, words: &str) -> bool {
        self.text.starts_with(words)
    }

    /// The address that it is about: the first one named.
    #[must_use]
    pub fn address(&self) -> Option<usize> {
        let mut words = self.text.split([' ', ',', '(', ')']);
        words.find_map(|word| usize::from_str_radix(word.strip_prefix("0x")?, 16).ok())
    }

    /// The system's number of the thread that made the guilty call.
    #[must_use]
    pub fn thread(&self) -> Option<u64> {
        let (_, rest) = self.text.rsplit_once(" by thread ")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_report_is_none() {
        for line in
            ["", "ravelin", "ravelin: warning: an option is unknown", "mimalloc: error: x", " ravelin: double free"]
        {
            assert_eq!(Report::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_report_without_address_or_thread_has_none() {
        let report = Report::parse("ravelin: internal error (0xyz) in check_heap").unwrap();
        assert_eq!((report.address(), report.thread()), (None, None));
    }

    #[test]
    fn the_first_address_is_the_guilty_one() {
        let report = Report::parse(
            "ravelin: wrong layout (size 8, alignment 8) in dealloc of 0x30 (block of class 64, page 0x10, segment 0) by thread 7",
        );
        assert_eq!(report.unwrap().address(), Some(0x30));
    }
}
