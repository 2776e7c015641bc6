//! The shapes over Rust's global allocator, which is jemalloc.

#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    shapes::main(shapes::Over::Rust)
}
