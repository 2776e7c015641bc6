//! mimalloc's interface in C, and Ravelin's own: the same functions as `mi_NAME` and `rv_NAME`.
//!
//! ```text
//!   basic  aligned  offset  strings  system  new  what gives blocks
//!   heaps  arenas                                 the same from a heap, and where its memory comes from
//!   options  messages  process                    what is told and asked
//!   native                                        what mimalloc has not: rv_* only
//! ```
//!
//! `include/mimalloc.h` and `include/ravelin.h` declare them. What a function of mimalloc does here that it does not do there is
//! told in the headers: a misuse is a report and the end of the process, not an error code.
//!
//! [`export`] defines both names at once. The compiler makes one piece of code of the two.
//!
//! # What holds everywhere
//! - Size 0 gives a block of its own; null is "nothing" where a block is given back or asked about.
//! - A call that finds no memory answers null and sets errno to ENOMEM (mimalloc's leave it as it is), and the function for errors is
//!   told; an old block is as it was.
//! - errno is left alone by a call that does not fail, but by those that return the number themselves.

/// Exports functions under two names each, mimalloc's and Ravelin's.
macro_rules! export {
    ($($(#[$attribute:meta])* $(fn $safe:ident)? $(unsafe fn $unsafe:ident)?
        ($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $crate::api::export!(@one $(#[$attribute])* [$($safe)?] [$($unsafe)?] ($($argument: $type),*) [$($result)?] $body);
    )*};
    (@one $(#[$attribute:meta])* [$name:ident] [] ($($argument:ident: $type:ty),*) [$($result:ty)?] $body:block) => {
        const _: () = {
            $(#[$attribute])*
            #[unsafe(export_name = concat!("mi_", stringify!($name)))]
            extern "C" fn mimalloc($($argument: $type),*) $(-> $result)? $body

            $(#[$attribute])*
            #[unsafe(export_name = concat!("rv_", stringify!($name)))]
            extern "C" fn ravelin($($argument: $type),*) $(-> $result)? $body
        };
    };
    (@one $(#[$attribute:meta])* [] [$name:ident] ($($argument:ident: $type:ty),*) [$($result:ty)?] $body:block) => {
        const _: () = {
            $(#[$attribute])*
            #[unsafe(export_name = concat!("mi_", stringify!($name)))]
            unsafe extern "C" fn mimalloc($($argument: $type),*) $(-> $result)? $body

            $(#[$attribute])*
            #[unsafe(export_name = concat!("rv_", stringify!($name)))]
            unsafe extern "C" fn ravelin($($argument: $type),*) $(-> $result)? $body
        };
    };
}
pub(crate) use export;

mod aligned;
mod arenas;
mod basic;
mod heaps;
mod messages;
mod native;
mod new;
mod offset;
mod options;
mod process;
mod strings;
mod system;
