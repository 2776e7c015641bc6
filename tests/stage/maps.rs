//! What the kernel says is mapped.

/// A mapping of this process.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Such as `rw-p`.
    pub(crate) protection: String,
    /// Whether it is nobody's file, stack or heap.
    pub(crate) anonymous: bool,
}

impl Map {
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// All mappings, lowest first.
pub(crate) fn maps() -> Vec<Map> {
    let text = std::fs::read_to_string("/proc/self/maps").expect("a kernel with /proc");
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Map> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let protection = words.next()?.to_string();
    Some(Map {
        start: usize::from_str_radix(start, 16).ok()?,
        end: usize::from_str_radix(end, 16).ok()?,
        protection,
        anonymous: words.nth(3).is_none(),
    })
}
