//! Which defences this build has: the one place where Cargo features are read.
//!
//! The rest of the source asks `if MITIGATIONS.free_checks { .. }`, and the compiler removes what is off. A feature
//! only ever adds protection; no run-time option can take one away.

/// The defences of a build. Each field is a Cargo feature of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mitigations {
    /// Every free, realloc and size query asks the out-of-line state bits whether a live block starts there.
    pub free_checks: bool,
    /// The link in a free block is encoded with its page's key and checked when the block is handed out.
    pub encoded_links: bool,
    /// Blocks of a page are handed out in an order that cannot be predicted.
    pub random_order: bool,
    /// `dealloc` and `realloc` stop the process when the `Layout` is not of the block's class.
    pub layout_checks: bool,
}

/// What this build has.
pub const MITIGATIONS: Mitigations = Mitigations {
    free_checks: cfg!(feature = "free-checks"),
    encoded_links: cfg!(feature = "encoded-links"),
    random_order: cfg!(feature = "random-order"),
    layout_checks: cfg!(feature = "layout-checks"),
};

/// Whether thread-local words go through the C library instead of the fixed offset that only libraries loaded at
/// start can have. Not a defence, but a feature, and features are read here.
pub(crate) const DYNAMIC_TLS: bool = cfg!(feature = "dynamic-tls");

impl Mitigations {
    /// The build's name: `hardened`, `fast`, or `custom` for a choice of features that is neither.
    #[must_use]
    pub const fn build_name(&self) -> &'static str {
        match (self.free_checks, self.encoded_links, self.random_order, self.layout_checks) {
            (true, true, true, true) => "hardened",
            (false, false, false, false) => "fast",
            _ => "custom",
        }
    }

    /// Each defence by its feature's name, and whether it is in force.
    #[must_use]
    pub const fn list(&self) -> [(&'static str, bool); 4] {
        [
            ("free-checks", self.free_checks),
            ("encoded-links", self.encoded_links),
            ("random-order", self.random_order),
            ("layout-checks", self.layout_checks),
        ]
    }
}
