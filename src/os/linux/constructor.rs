//! What is called before `main`.

/// Has a function called before `main`: in a program that the crate is linked into as in a library, when that is loaded. In front of
/// constructors without a number, so that the thread's key is made while low numbers are free.
///
/// The C library's own constructor may come later: `libravelin.so` is linked so that nobody's comes earlier. What it would tell of the
/// environment then comes from the loader.
macro_rules! before_main {
    ($function:path) => {
        #[used]
        #[unsafe(link_section = ".init_array.00101")]
        static BEFORE_MAIN: $crate::os::Constructor = {
            extern "C" fn construct(_: ::libc::c_int, _: $crate::os::Strings, environment: $crate::os::Strings) {
                $crate::os::with_environment(environment, $function);
            }
            construct
        };
    };
}

pub(crate) use before_main;
