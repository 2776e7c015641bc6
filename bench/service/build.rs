//! Takes the example as it is, but for the line that makes Ravelin its allocator.

use std::fs;
use std::path::Path;

fn main() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/service");
    let source = example.join("main.rs");
    println!("cargo::rerun-if-changed={}", example.display());
    let text = fs::read_to_string(&source).expect("the example lies beside the engine");
    let mut changed = String::new();
    let mut lines = text.lines();
    let mut replaced = false;
    while let Some(line) = lines.next() {
        if line == "#[global_allocator]" {
            lines.next();
            replaced = true;
        } else if let Some(module) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            let file = example.join(module).with_extension("rs");
            changed += &format!("#[path = {:?}]\nmod {module};\n", file.display().to_string());
        } else if !line.starts_with("//!") {
            changed += line;
            changed.push('\n');
        }
    }
    assert!(replaced, "the example has no global allocator any more");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("main.rs"), changed).expect("the folder is cargo's");
}
