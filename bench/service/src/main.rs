//! The service example on the system's allocator, so that any library can be preloaded under the same program.

include!(concat!(env!("OUT_DIR"), "/main.rs"));
