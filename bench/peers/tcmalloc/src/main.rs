//! The shapes over Rust's global allocator, which is tcmalloc.

#[global_allocator]
static GLOBAL: tcmalloc_better::TCMalloc = tcmalloc_better::TCMalloc;

fn main() {
    shapes::main(shapes::Over::Rust)
}
