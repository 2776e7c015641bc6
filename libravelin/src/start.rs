//! What happens when the library is loaded.
//!
//! Nothing depends on it: the engine starts with the first call, which often comes earlier, from the constructor of another
//! library. Here is done what must be done early although nobody has allocated yet (the key by which a thread's end
//! is noticed, while low key numbers are free).

use engine::raw;

/// One entry of the table of functions that the loader calls before `main`. Its number puts it in front of
/// constructors without one when it is linked into a program.
#[used]
#[unsafe(link_section = ".init_array.00101")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    raw::start();
}
