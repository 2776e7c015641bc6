//! The headers: that they compile in every language and dialect, and declare what is exported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::library::{intended_names, library};
use super::tools::{emulated, run, tool};

/// What mimalloc exports without declaring it.
const UNDECLARED: [&str; 1] = ["mi_heap_try_new"];

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("libravelin/include")
}

/// Writes a source, and gives its path.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = library().folder.join("headers");
    fs::create_dir_all(&folder).expect("a folder for sources");
    let path = folder.join(name);
    fs::write(&path, text).expect("a source");
    path
}

fn compile(compiler: &str, language: &str, standard: &str, source: &Path) {
    // Under an emulator the host's run has clang.
    let mut command = match compiler {
        "gcc" => tool(if language == "c" { "cc" } else { "c++" }),
        other => Command::new(other),
    };
    command.args(["-x", language, &format!("-std={standard}"), "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    run(command.arg("-I").arg(include()).arg("-fsyntax-only").arg(source));
}

#[test]
fn each_compiles_alone_in_every_dialect_without_a_warning() {
    let in_c =
        |header: &str| file(&format!("{header}.c"), &format!("#include <{header}>\nint main(void) {{ return 0; }}\n"));
    let in_cxx = |header: &str, body: &str| {
        let text = format!("#include <{header}>\n#include <vector>\nint main() {{ {body} return 0; }}\n");
        file(&format!("{header}.cpp"), &text)
    };
    let uses = |prefix: &str| {
        let of = |kind: &str| format!("{{ std::vector<int, {prefix}_{kind}<int> > v; v.push_back(1); v.clear(); }} ");
        ["stl_allocator", "heap_stl_allocator", "heap_destroy_stl_allocator"].map(of).concat()
    };
    let in_c = ["ravelin.h", "mimalloc.h", "mimalloc-override.h", "mimalloc-new-delete.h"].map(in_c);
    let in_cxx = [
        in_cxx("ravelin.h", &uses("rv")),
        in_cxx("mimalloc.h", &uses("mi")),
        in_cxx("mimalloc-override.h", ""),
        in_cxx("mimalloc-new-delete.h", "delete new int;"),
    ];
    for compiler in if emulated() { &["gcc"][..] } else { &["gcc", "clang"] } {
        for standard in ["c99", "c11", "c2x"] {
            in_c.iter().for_each(|source| compile(compiler, "c", standard, source));
        }
        for standard in ["c++11", "c++17", "c++20"] {
            in_cxx.iter().for_each(|source| compile(compiler, "c++", standard, source));
        }
    }
}

#[test]
fn all_of_them_can_be_included_together_and_twice() {
    let text = "#include <ravelin.h>\n#include <mimalloc.h>\n#include <ravelin.h>\n#include <mimalloc-override.h>\n\
                #include <mimalloc-override.h>\nint main(void) { return 0; }\n";
    compile("gcc", "c", "c11", &file("together.c", text));
    compile("gcc", "c++", "c++17", &file("together.cpp", text));
}

/// The functions that a header declares, each with its type as gcc writes it.
fn declared(header: &str) -> BTreeMap<String, String> {
    let source = file(&format!("declared-{header}.c"), &format!("#include <{header}>\n"));
    let list = source.with_extension("list");
    let mut command = tool("cc");
    command.arg("-c").arg("-aux-info").arg(&list).arg("-I").arg(include());
    run(command.arg(source).arg("-o").arg(list.with_extension("o")));
    // `/* path/mimalloc.h:60:NC */ extern void *mi_malloc (size_t);`
    let text = fs::read_to_string(list).expect("gcc's list");
    let ours = text.lines().filter(|line| line.contains(&format!("/{header}:")));
    ours.map(|line| {
        let declaration = line.split_once("*/ ").expect("a comment, and a declaration").1;
        let name = declaration.split_once(" (").expect("a function").0.rsplit([' ', '*']).next().expect("a name");
        (name.to_owned(), declaration.to_owned())
    })
    .collect()
}

#[test]
fn what_is_declared_is_exported_and_what_is_exported_is_declared() {
    for (prefix, header) in [("mi_", "mimalloc.h"), ("rv_", "ravelin.h")] {
        let declared: BTreeSet<String> = declared(header).into_keys().collect();
        let exported: BTreeSet<String> = intended_names()
            .into_iter()
            .filter(|name| name.starts_with(prefix) && !UNDECLARED.contains(&name.as_str()))
            .collect();
        let only =
            |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect::<Vec<_>>();
        assert!(only(&declared, &exported).is_empty(), "declared, not exported: {:?}", only(&declared, &exported));
        assert!(only(&exported, &declared).is_empty(), "exported, not declared: {:?}", only(&exported, &declared));
        assert!(declared.len() > 100, "{header}: {}", declared.len());
    }
}

#[test]
fn the_two_interfaces_have_the_same_functions_of_the_same_types() {
    let native = declared("ravelin.h");
    for (name, declaration) in declared("mimalloc.h") {
        let own = name.replacen("mi_", "rv_", 1);
        assert_eq!(native.get(&own), Some(&declaration.replace("mi_", "rv_")), "{own}");
    }
}

/// What Rust's `mimalloc` crate and programs beside it may call.
#[test]
fn the_stand_in_for_libmimalloc_sys_declares_every_function_of_the_header() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("libravelin/mimalloc-sys/src/lib.rs");
    let text = fs::read_to_string(source).expect("the stand-in");
    let functions = text.lines().filter_map(|line| line.trim().strip_prefix("pub fn ")?.split('(').next());
    let functions: BTreeSet<String> = functions.map(str::to_owned).collect();
    assert_eq!(functions, declared("mimalloc.h").into_keys().collect());
}
