//! What is called before `main`.

/// Has a function called before `main`, when the C library is up: in a program that the crate is linked into as in a
/// library, when that is loaded. In front of constructors without a number, so that the thread's key is made while low
/// numbers are free.
macro_rules! before_main {
    ($function:path) => {
        #[used]
        #[unsafe(link_section = ".init_array.00101")]
        static BEFORE_MAIN: extern "C" fn() = $function;
    };
}

pub(crate) use before_main;
