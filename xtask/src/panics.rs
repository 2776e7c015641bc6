//! No panic is reachable in what is shipped: a panic inside malloc would format, allocate and unwind through C.
//!
//! The compiler has removed the panics that it can prove away; those left call a function of `core::panicking` or one
//! of the out-of-line helpers that do. They are `#[cold]` and never inlined, so the symbol table of the linked library
//! names every kind that is left, and the disassembly says from where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::builds::Build;
use crate::shell;

/// One demangled function a line, and after `#` the reason why it may stay.
const ALLOWED: &str = "xtask/allowed-panics.txt";

/// What a symbol's path starts with if calling it ends in a panic.
const PANICS: [&str; 16] = [
    "core::panicking::",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "core::slice::index::slice_",
    "core::slice::copy_from_slice_impl::len_mismatch_fail",
    "core::slice::<impl [T]>::copy_from_slice::len_mismatch_fail",
    "core::str::slice_error_fail",
    "core::cell::panic_already",
    "core::array::",
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::",
    "std::panicking::",
    "std::alloc::rust_oom",
    "rust_begin_unwind",
    "__rustc::rust_begin_unwind",
];

pub fn run() -> Result<()> {
    let allowed = allowed()?;
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for build in Build::all()? {
        let library = build.compile_library()?.join("libravelin.so");
        let symbols = panicking_symbols(&library)?;
        println!("{}: {} panicking symbols", library.display(), symbols.len());
        let callers = if symbols.is_empty() { BTreeMap::new() } else { callers(&library, &symbols)? };
        for symbol in symbols {
            if let Some(reason) = allowed.get(&symbol) {
                println!("  {symbol} (allowed: {reason})");
                used.insert(symbol);
                continue;
            }
            println!("  {symbol}");
            for caller in callers.get(&symbol).into_iter().flatten() {
                println!("    called by {caller}");
            }
            found.push(format!("{} in {}", symbol, build.name()));
        }
    }
    if let Some(symbol) = allowed.keys().find(|symbol| !used.contains(*symbol)) {
        bail!("{ALLOWED} allows {symbol}, which no library holds any more: take it out");
    }
    if !found.is_empty() {
        bail!("panics that a program can reach: {}", found.join(", "));
    }
    Ok(())
}

fn allowed() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(shell::root().join(ALLOWED)).context(ALLOWED)?;
    let mut allowed = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let Some((symbol, reason)) = line.split_once('#') else { bail!("{ALLOWED}: no reason after `{line}`") };
        allowed.insert(symbol.trim().to_owned(), reason.trim().to_owned());
    }
    Ok(allowed)
}

fn panicking_symbols(library: &Path) -> Result<BTreeSet<String>> {
    let table = shell::output(shell::command("nm").args(["--demangle", "--defined-only"]).arg(library))?;
    if table.is_empty() {
        bail!("{} has no symbol table: nothing can be said of it", library.display());
    }
    let names = table.lines().filter_map(|line| line.splitn(3, ' ').nth(2)).map(without_hash);
    Ok(names.filter(|name| panics(name)).map(str::to_owned).collect())
}

fn panics(symbol: &str) -> bool {
    PANICS.iter().any(|start| symbol.starts_with(start))
}

/// `core::panicking::panic_fmt::h0123456789abcdef`, the older mangling, without what changes with every compiler.
fn without_hash(symbol: &str) -> &str {
    match symbol.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => symbol,
    }
}

/// Who jumps to each of the symbols, by the disassembly: the place to mend.
fn callers(library: &Path, symbols: &BTreeSet<String>) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut objdump = shell::command("objdump");
    objdump.args(["--disassemble", "--demangle", "--no-show-raw-insn"]).arg(library);
    let text = shell::output(&mut objdump)?;
    let mut callers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut function = "";
    for line in text.lines() {
        // `0000000000001000 <name>:` opens a function; `    1000:  call  2000 <name>` or `<name+0x10>` names a target.
        let Some((before, rest)) = line.split_once('<') else { continue };
        if let Some(name) = rest.strip_suffix(">:") {
            function = without_hash(name);
        } else if !before.contains('#') {
            let target = rest.strip_suffix('>').unwrap_or(rest);
            let target = without_hash(target.rsplit_once("+0x").map_or(target, |(name, _)| name));
            if target != function && symbols.contains(target) {
                callers.entry(target.to_owned()).or_default().insert(function.to_owned());
            }
        }
    }
    Ok(callers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicking_function_is_known_by_its_path_in_both_manglings() {
        assert!(panics(without_hash("core::panicking::panic_fmt::h0123456789abcdef")));
        assert!(panics(without_hash("core::panicking::panic_bounds_check")));
        assert!(panics("core::slice::index::slice_end_index_len_fail"));
        assert!(!panics("ravelin::report::die"));
        assert!(!panics("ravelin::core::panicking"));
    }

    #[test]
    fn only_a_hash_is_cut_off() {
        assert_eq!(without_hash("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(without_hash("a::b::hash"), "a::b::hash");
    }
}
