//! What would be called before `main`.

/// Accepts the function, and never calls it.
macro_rules! before_main {
    ($function:path) => {
        const _: fn() = $function;
    };
}

pub(crate) use before_main;
