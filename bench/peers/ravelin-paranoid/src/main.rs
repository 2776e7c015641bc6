//! The shapes over Rust's global allocator, which is ravelin-paranoid.

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

fn main() {
    shapes::main(shapes::Over::Rust)
}
