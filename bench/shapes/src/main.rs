//! The shapes over `malloc`, for `LD_PRELOAD`.

fn main() {
    shapes::main(shapes::Over::C)
}
