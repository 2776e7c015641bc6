//! The shapes over Rust's global allocator, which is snmalloc.

#[global_allocator]
static GLOBAL: snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;

fn main() {
    shapes::main(shapes::Over::Rust)
}
