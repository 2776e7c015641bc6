//! The shapes over Rust's global allocator, which is mimalloc-3-secure.

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    shapes::main(shapes::Over::Rust)
}
