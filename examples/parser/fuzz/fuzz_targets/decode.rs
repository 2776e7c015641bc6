//! Any text can be decoded. Ravelin is the allocator, so that a write beyond a block ends the process.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

fuzz_target!(|text: &[u8]| {
    assert!(parser::Decoded::new(text).bytes().len() <= text.len());
});
