//! What the kernel says is mapped.

/// A mapping of this process.
#[derive(Clone, Debug)]
pub struct Map {
    pub start: usize,
    pub end: usize,
    /// Such as `rw-p`.
    pub protection: String,
    /// Whether it is nobody's file, stack or heap.
    pub anonymous: bool,
}

impl Map {
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

/// All mappings, lowest first.
pub fn maps() -> Vec<Map> {
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
