//! The floors of the source, and the places where `cfg` may stand.
//!
//! A floor uses only what lies below it, so that each can be read, tested and model-checked without those above. And
//! a choice between builds, platforms or checkers is made in one place each, so that the rest reads as one program.
//! Both are read off the sources here: every `use`, every path that starts at `crate`, `super` or `self`, every
//! `cfg`, also those inside macros.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test, and a panic is how it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token, UseTree, punctuated::Punctuated};

/// From the ground up; what stands in one row may not use its neighbours either. The names are the modules of `lib.rs`.
/// The top row is the front ends, and the items of `lib.rs` itself are of it.
const FLOORS: [&[&str]; 10] = [
    &["sync", "mitigations"],
    &["os"],
    &["entropy", "report"],
    &["geometry", "options"],
    &["remote"],
    &["page"],
    &["segment"],
    &["heap"],
    &["stats"],
    &["front", "allocator", "global", "raw"],
];
const FRONT: usize = FLOORS.len() - 1;

/// Where a `cfg` of a kind may stand. Beside these: on `mod`, `extern crate` and `use` lines of `lib.rs` all of them; and
/// anywhere `cfg(test)`, whatever a test contains, and derives of serde.
const PLACES: [(Choice, &[&str]); 3] = [
    (Choice::Feature, &["mitigations.rs"]),
    (Choice::Platform, &["os/mod.rs"]),
    // The mock of the operating system is chosen where the others are.
    (Choice::Checker, &["sync.rs", "os/mod.rs"]),
];
const CHECKERS: [&str; 4] = ["miri", "loom", "ravelin_loom", "ravelin_mock"];

/// What a `cfg` asks about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
enum Choice {
    Feature,
    Platform,
    Checker,
    Test,
    Other,
}

#[test]
fn the_sources_keep_to_their_floors_and_cfg_stands_in_its_places() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.iter().any(|(path, _)| path == "lib.rs"), "no sources under {}", root.display());
    let complaints = check(&files);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Path below `src` and contents of every source file.
fn collect(root: &Path, directory: &Path, files: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(directory).expect("a readable folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below src").to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(&path).expect("readable UTF-8")));
        }
    }
}

/// All that is wrong, each with file and line.
fn check(files: &[(String, String)]) -> Vec<String> {
    let parsed: Vec<_> = files
        .iter()
        .map(|(path, text)| (path, syn::parse_file(text).unwrap_or_else(|error| panic!("src/{path}: {error}"))))
        .collect();

    // Files that are tests as a whole are known by the line that declares them.
    let mut test_modules = BTreeSet::new();
    for (path, file) in &parsed {
        let mut declarations = TestModules { path, module: module_of(path), found: &mut test_modules };
        declarations.visit_file(file);
    }

    let mut complaints = Vec::new();
    for (path, file) in &parsed {
        let module = module_of(path);
        let in_test = (0..=module.len()).any(|depth| test_modules.contains(&module[..depth]));
        if let Some(top) = module.first()
            && rank(top).is_none()
            && !in_test
        {
            complaints.push(format!("src/{path}:1: `{top}` is on no floor: give it one in tests/floors.rs"));
        }
        let test_modules = &test_modules;
        let mut reader =
            Reader { path, module, test_modules, in_test, anything_goes: false, complaints: &mut complaints };
        reader.visit_file(file);
    }
    complaints
}

/// `os/linux/map.rs` is `os::linux::map`, `os/mod.rs` is `os`, `lib.rs` is the crate itself.
fn module_of(path: &str) -> Vec<String> {
    let names = path.trim_end_matches(".rs").split('/');
    names.filter(|name| !["mod", "lib"].contains(name)).map(str::to_owned).collect()
}

fn rank(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Finds `#[cfg(test)] mod name;`, also where a `#[path]` says that the file is called otherwise.
struct TestModules<'a> {
    path: &'a str,
    module: Vec<String>,
    found: &'a mut BTreeSet<Vec<String>>,
}

impl Visit<'_> for TestModules<'_> {
    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        self.module.push(item.ident.to_string());
        if item.attrs.iter().any(is_cfg_test) {
            let file = item.attrs.iter().find_map(file_of).map(|file| match self.path.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{file}"),
                None => file,
            });
            self.found.insert(file.map_or_else(|| self.module.clone(), |file| module_of(&file)));
        }
        visit::visit_item_mod(self, item);
        self.module.pop();
    }
}

/// Reads one file.
struct Reader<'a> {
    path: &'a str,
    /// The module that is being read, from the crate's root.
    module: Vec<String>,
    /// What only tests compile; it has no floor unless it lies in one.
    test_modules: &'a BTreeSet<Vec<String>>,
    /// Inside what only tests compile.
    in_test: bool,
    /// On a line where any `cfg` may stand.
    anything_goes: bool,
    complaints: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn complain(&mut self, span: proc_macro2::Span, what: &str) {
        self.complaints.push(format!("src/{}:{}: {what}", self.path, span.start().line));
    }

    /// Judges a path by the module that it names.
    fn path(&mut self, segments: &[String], span: proc_macro2::Span) {
        let Some(target) = self.resolve(segments) else { return };
        let own = self.module.first().map(String::as_str);
        let own_rank = own.map_or(Some(FRONT), rank);
        let helps_tests = self.in_test && self.test_modules.contains(&target[..target.len().min(1)]);
        let target = target.first().map(String::as_str);
        if target == own || own_rank.is_none() || helps_tests {
            return;
        }
        let target_rank = target.and_then(rank).unwrap_or(FRONT);
        let same_row_of_the_front = own_rank == Some(FRONT) && target_rank == FRONT;
        if Some(target_rank) >= own_rank && !same_row_of_the_front {
            let own = own.unwrap_or("lib.rs");
            let text = segments.join("::");
            match target {
                Some(target) if rank(target).is_some() => {
                    self.complain(
                        span,
                        &format!("`{text}`: floor `{own}` may not use `{target}`, which is not below it"),
                    );
                }
                _ => self.complain(
                    span,
                    &format!("`{text}`: floor `{own}` may not use what lib.rs declares: name its floor"),
                ),
            }
        }
    }

    /// The path from the crate's root; none for a path that starts at a local name or another crate.
    fn resolve(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut rest = segments;
        let mut module = match rest.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        if rest[0] != "super" {
            rest = &rest[1..];
        }
        while rest.first().is_some_and(|segment| segment == "super") {
            module.pop();
            rest = &rest[1..];
        }
        module.extend(rest.iter().cloned());
        Some(module)
    }

    fn use_tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.use_tree(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, before)),
            UseTree::Glob(_) => self.path(before, tree.span()),
            UseTree::Name(syn::UseName { ident, .. }) | UseTree::Rename(syn::UseRename { ident, .. }) => {
                // `use crate::page::{self}` names `page`.
                let named = if ident == "self" && !before.is_empty() { None } else { Some(ident.to_string()) };
                let segments: Vec<_> = before.iter().cloned().chain(named).collect();
                self.path(&segments, tree.span());
            }
        }
    }

    /// Judges the predicate of a `cfg`, `cfg_attr` or `cfg!`.
    fn predicate(&mut self, predicate: &TokenStream, what_for: For, span: proc_macro2::Span) {
        if self.in_test || self.anything_goes || implies_test(predicate) {
            return;
        }
        for (choice, name) in choices(predicate) {
            let harmless = match what_for {
                For::Derive => name == "serde",
                // What only tests use is dead code outside of them, and saying so changes no code.
                For::Lint => choice == Choice::Test,
                For::Other => false,
            };
            let in_place = PLACES.iter().any(|(kind, places)| *kind == choice && places.contains(&self.path));
            if !harmless && !in_place {
                self.complain(span, &format!("`cfg` of `{name}` may not stand here"));
            }
        }
    }

    /// What the parser does not look into: the inside of macros. Tokens that read as a path or a `cfg` count as one.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) if ["crate", "super", "self"].contains(&first.to_string().as_str()) => {
                    let inside_a_path = at > 0 && is_punct(&tokens[at - 1], ':');
                    let segments = path_at(&tokens[at..]);
                    if segments.len() > 1 && !inside_a_path {
                        self.path(&segments, first.span());
                    }
                }
                TokenTree::Ident(name) if name == "cfg" || name == "cfg_attr" => {
                    let group = tokens[at + 1..].iter().find(|token| !is_punct(token, '!'));
                    if let Some(TokenTree::Group(group)) = group {
                        let first =
                            group.stream().into_iter().take_while(|token| name == "cfg" || !is_punct(token, ','));
                        self.predicate(&first.collect(), For::Other, name.span());
                    }
                }
                _ => {}
            }
        }
    }
}

/// What a `cfg` decides about.
#[derive(PartialEq, Eq)]
enum For {
    Derive,
    Lint,
    Other,
}

impl Visit<'_> for Reader<'_> {
    fn visit_item(&mut self, item: &Item) {
        let (in_test, anything_goes) = (self.in_test, self.anything_goes);
        self.in_test |= attributes(item).iter().any(is_cfg_test);
        let declares =
            matches!(item, Item::Mod(syn::ItemMod { content: None, .. }) | Item::ExternCrate(_) | Item::Use(_));
        self.anything_goes = declares && self.path == "lib.rs";
        visit::visit_item(self, item);
        (self.in_test, self.anything_goes) = (in_test, anything_goes);
    }

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        // The attributes stand outside of the module, its contents inside.
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        self.module.push(item.ident.to_string());
        item.content.iter().flat_map(|(_, items)| items).for_each(|item| self.visit_item(item));
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        self.use_tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.path(&segments, path.span());
        }
        visit::visit_path(self, path);
    }

    // `pub(in crate::os)` says who may look in, not what is used.
    fn visit_visibility(&mut self, _: &syn::Visibility) {}

    fn visit_attribute(&mut self, attribute: &Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        if list.path.is_ident("cfg") {
            self.predicate(&list.tokens, For::Other, attribute.span());
        } else if list.path.is_ident("cfg_attr") {
            let is_comma = |token: &TokenTree| is_punct(token, ',');
            let predicate = list.tokens.clone().into_iter().take_while(|token| !is_comma(token)).collect();
            let mut decided = list.tokens.clone().into_iter().skip_while(|token| !is_comma(token)).skip(1);
            let what_for = match decided.next().map(|name| name.to_string()).as_deref() {
                Some("derive") => For::Derive,
                Some("allow" | "expect") => For::Lint,
                _ => For::Other,
            };
            self.predicate(&predicate, what_for, attribute.span());
        }
    }

    fn visit_macro(&mut self, called: &syn::Macro) {
        if called.path.is_ident("cfg") {
            self.predicate(&called.tokens, For::Other, called.span());
        } else if let Some(name) = called.path.segments.last()
            && ["cfg_if", "cfg_select"].contains(&name.ident.to_string().as_str())
            && self.path != "os/mod.rs"
        {
            self.complain(called.span(), "a choice by `cfg` may not stand here");
        }
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// `a::b::c` at the start of some tokens; of `a::{b, c}` and `a::*` the part before.
fn path_at(tokens: &[TokenTree]) -> Vec<String> {
    let mut segments = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(name), after @ ..] = rest {
        segments.push(name.to_string());
        match after {
            [TokenTree::Punct(first), TokenTree::Punct(second), next @ ..]
                if first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':' =>
            {
                rest = next;
            }
            _ => break,
        }
    }
    segments
}

fn attributes(item: &Item) -> &[Attribute] {
    macro_rules! of {
        ($($kind:ident)*) => { match item { $(Item::$kind(item) => &item.attrs,)* _ => &[] } };
    }
    of!(Const Enum ExternCrate Fn ForeignMod Impl Macro Mod Static Struct Trait TraitAlias Type Union Use)
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && implies_test(&list.tokens))
}

/// The file in `#[path = "file"]`.
fn file_of(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(syn::MetaNameValue {
            path,
            value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(file), .. }),
            ..
        }) if path.is_ident("path") => Some(file.value()),
        _ => None,
    }
}

/// Whether what stands under this predicate is compiled for tests only.
fn implies_test(predicate: &TokenStream) -> bool {
    let Ok(meta) = syn::parse2::<Meta>(predicate.clone()) else { return false };
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => {
            let parse = Punctuated::<TokenStreamOfMeta, Token![,]>::parse_terminated;
            let Ok(parts) = syn::parse::Parser::parse2(parse, list.tokens) else { return false };
            let mut parts = parts.iter().map(|part| implies_test(&part.0));
            (list.path.is_ident("all") && parts.any(|implies| implies))
                || (list.path.is_ident("any") && parts.len() > 0 && parts.all(|implies| implies))
        }
        Meta::NameValue(_) => false,
    }
}

struct TokenStreamOfMeta(TokenStream);

impl syn::parse::Parse for TokenStreamOfMeta {
    fn parse(input: syn::parse::ParseStream) -> syn::Result<Self> {
        let mut tokens = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            tokens.extend([input.parse::<TokenTree>()?]);
        }
        Ok(TokenStreamOfMeta(tokens))
    }
}

/// Every name in a predicate that is asked about, with what kind of choice it is.
fn choices(predicate: &TokenStream) -> BTreeSet<(Choice, String)> {
    let mut found = BTreeSet::new();
    let tokens: Vec<TokenTree> = predicate.clone().into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
                found.extend(choices(&group.stream()))
            }
            TokenTree::Ident(name) => {
                let combines = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
                let value = tokens.get(at + 2).map(|value| value.to_string().trim_matches('"').to_owned());
                let name = name.to_string();
                match name.as_str() {
                    _ if combines => {}
                    "feature" => drop(found.insert((Choice::Feature, value.unwrap_or_default()))),
                    "test" => drop(found.insert((Choice::Test, name))),
                    "unix" | "windows" => drop(found.insert((Choice::Platform, name))),
                    _ if name.starts_with("target_") => drop(found.insert((Choice::Platform, name))),
                    _ if CHECKERS.contains(&name.as_str()) => drop(found.insert((Choice::Checker, name))),
                    _ => drop(found.insert((Choice::Other, name))),
                }
            }
            _ => {}
        }
    }
    found
}

#[path = "floors/the_checker.rs"]
mod the_checker;
