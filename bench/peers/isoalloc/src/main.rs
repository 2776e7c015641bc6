//! The shapes over Rust's global allocator, which is isoalloc.

#[global_allocator]
static GLOBAL: isoalloc::IsoAlloc = isoalloc::IsoAlloc;

fn main() {
    shapes::main(shapes::Over::Rust)
}
