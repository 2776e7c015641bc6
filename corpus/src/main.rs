//! Plays what is callable from C under the process's own `malloc` and under any that is preloaded. See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match corpus::run::main(corpus::allocator::of_the_process(), corpus::cases::all, std::env::args()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
