//! The shapes over Rust's global allocator, which is scudo.

#[global_allocator]
static GLOBAL: scudo::GlobalScudoAllocator = scudo::GlobalScudoAllocator;

fn main() {
    shapes::main(shapes::Over::Rust)
}
