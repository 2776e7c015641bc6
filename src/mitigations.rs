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
    /// A secret trailer lies directly behind what was requested of a block, and is checked when the block comes back, is resized
    /// or verified; sizes are exact.
    pub canaries: bool,
    /// A block remembers whether it came from C++'s `new` or `new[]`, and the wrong `delete` stops the process.
    pub origin_checks: bool,
    /// Freed blocks wait, and leave in an order that cannot be predicted, before they are handed out again.
    pub quarantine: bool,
    /// A block is wiped when it is freed, and is still found wiped when it is handed out again.
    pub zero_on_free: bool,
    /// One allocation in so many, as an option says, stands alone between guards, and stays inaccessible after its free.
    pub sampled_guards: bool,
    /// Every page of blocks ends in an inaccessible OS page.
    pub page_guards: bool,
    /// Blocks that can hold no pointer, because their alignment is below 8, never lie in a segment that has had others.
    pub partition: bool,
    /// What never changes once it is mapped is sealed: metadata, the secret, the used parts of the segment map.
    pub sealed: bool,
}

/// What this build has.
pub const MITIGATIONS: Mitigations = Mitigations {
    free_checks: cfg!(feature = "free-checks"),
    encoded_links: cfg!(feature = "encoded-links"),
    random_order: cfg!(feature = "random-order"),
    layout_checks: cfg!(feature = "layout-checks"),
    canaries: cfg!(feature = "canaries"),
    origin_checks: cfg!(feature = "origin-checks"),
    quarantine: cfg!(feature = "quarantine"),
    zero_on_free: cfg!(feature = "zero-on-free"),
    sampled_guards: cfg!(feature = "sampled-guards"),
    page_guards: cfg!(feature = "page-guards"),
    partition: cfg!(feature = "partition"),
    sealed: cfg!(feature = "sealed"),
};

/// Whether thread-local words go through the C library instead of the fixed offset that only libraries loaded at
/// start can have. Not a defence, but a feature, and features are read here.
pub(crate) const DYNAMIC_TLS: bool = cfg!(feature = "dynamic-tls");

/// Whether memcheck is told of every block, where a program runs under valgrind. Not a defence either.
pub(crate) const VALGRIND: bool = cfg!(feature = "valgrind");

/// The first build that has a defence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    Hardened,
    Paranoid,
}

/// How many defences there are.
const COUNT: usize = 12;

impl Mitigations {
    /// Each defence by its feature's name, whether it is in force, and the first build that has it.
    const fn table(&self) -> [(&'static str, bool, Since); COUNT] {
        [
            ("free-checks", self.free_checks, Since::Hardened),
            ("encoded-links", self.encoded_links, Since::Hardened),
            ("random-order", self.random_order, Since::Hardened),
            ("layout-checks", self.layout_checks, Since::Hardened),
            ("sampled-guards", self.sampled_guards, Since::Hardened),
            ("canaries", self.canaries, Since::Paranoid),
            ("origin-checks", self.origin_checks, Since::Paranoid),
            ("quarantine", self.quarantine, Since::Paranoid),
            ("zero-on-free", self.zero_on_free, Since::Paranoid),
            ("page-guards", self.page_guards, Since::Paranoid),
            ("partition", self.partition, Since::Paranoid),
            ("sealed", self.sealed, Since::Paranoid),
        ]
    }

    /// The build's name: `fast`, `hardened`, `paranoid`, or `custom` for a choice of features that is none of these.
    #[must_use]
    pub fn build_name(&self) -> &'static str {
        let (mut fast, mut hardened, mut paranoid) = (true, true, true);
        for (_, on, since) in self.table() {
            fast &= !on;
            hardened &= on == matches!(since, Since::Hardened);
            paranoid &= on;
        }
        match (fast, hardened, paranoid) {
            (true, _, _) => "fast",
            (_, true, _) => "hardened",
            (_, _, true) => "paranoid",
            _ => "custom",
        }
    }

    /// Each defence by its feature's name, and whether it is in force.
    #[must_use]
    pub fn list(&self) -> [(&'static str, bool); COUNT] {
        self.table().map(|(name, in_force, _)| (name, in_force))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_named_for_what_it_has() {
        let none = Mitigations {
            free_checks: false,
            encoded_links: false,
            random_order: false,
            layout_checks: false,
            canaries: false,
            origin_checks: false,
            quarantine: false,
            zero_on_free: false,
            sampled_guards: false,
            page_guards: false,
            partition: false,
            sealed: false,
        };
        let hardened = Mitigations {
            free_checks: true,
            encoded_links: true,
            random_order: true,
            layout_checks: true,
            sampled_guards: true,
            ..none
        };
        let paranoid = Mitigations {
            canaries: true,
            origin_checks: true,
            quarantine: true,
            zero_on_free: true,
            page_guards: true,
            partition: true,
            sealed: true,
            ..hardened
        };
        assert_eq!([none, hardened, paranoid].map(|build| build.build_name()), ["fast", "hardened", "paranoid"]);
        assert_eq!(Mitigations { random_order: false, ..paranoid }.build_name(), "custom");
        assert_eq!(Mitigations { free_checks: true, ..none }.build_name(), "custom");
        assert!(paranoid.list().iter().all(|(_, on)| *on) && none.list().iter().all(|(_, on)| !on));
    }
}
