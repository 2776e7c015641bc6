//! The shapes over Rust's global allocator, which is hardened-malloc.

#[global_allocator]
static GLOBAL: hardened_malloc_rs::HardenedMalloc = hardened_malloc_rs::HardenedMalloc;

fn main() {
    shapes::main(shapes::Over::Rust)
}
