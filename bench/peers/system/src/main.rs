//! The shapes over Rust's global allocator, which is system.

#[global_allocator]
static GLOBAL: std::alloc::System = std::alloc::System;

fn main() {
    shapes::main(shapes::Over::Rust)
}
