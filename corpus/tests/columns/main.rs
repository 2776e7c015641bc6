//! The table's columns, asserted: every case in a process of its own, on Ravelin.
//!
//! `cargo test -p corpus --test columns a13_` plays one row as tests with names. With `--table` as the first argument the same program takes the
//! arguments of `corpus` (`--list`, `--json`, `--record` ..) and prints the table.
//!
//! Which column is asserted follows from the build: h, or p in a paranoid one; `CORPUS_COLUMN` says otherwise (g). What a build
//! without the defence in question does not stop is listed as ignored, with the reason.

#![allow(clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod life;
mod our_own_memory;

use corpus::allocator::{Allocator, Collect, Damage, choose};
use corpus::operators::{Form, Operators};
use corpus::played::Played;
use corpus::record::Record;
use corpus::stage::{self, Case, Cases, Setting, Start};
use corpus::table::Column;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use ravelin::MITIGATIONS;
use ravelin::raw::{self, Operator};
use std::env;
use std::process::ExitCode;
use std::sync::LazyLock;

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

const TABLE: &str = "--table";

fn ravelin() -> Allocator {
    unsafe fn free(block: *mut u8) {
        // SAFETY: the caller's affair.
        unsafe { raw::free(block) };
    }
    unsafe fn reallocate(block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's affair.
        unsafe { raw::reallocate(block, size) }
    }
    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: the caller's affair.
        unsafe { raw::usable_size(block) }
    }
    fn collect(how: Collect) {
        raw::collect(match how {
            Collect::Gently => raw::Collect::Gently,
            Collect::Fully => raw::Collect::Fully,
        });
    }
    fn check() -> Result<(), Damage> {
        match ravelin::check_heap() {
            Ok(_) => Ok(()),
            Err(found) => Err(Damage { address: found.address() }),
        }
    }
    fn kind(form: Form) -> Operator {
        match form {
            Form::One => Operator::One,
            Form::Many => Operator::Many,
        }
    }
    fn new(size: usize, form: Form) -> *mut u8 {
        raw::operator_new(size, kind(form))
    }
    unsafe fn delete(block: *mut u8, form: Form, size: Option<usize>) {
        match size {
            // SAFETY: the caller's affair.
            None => unsafe { raw::operator_delete(block, kind(form)) },
            // SAFETY: the caller's affair.
            Some(size) => unsafe { raw::operator_delete_sized(block, size, kind(form)) },
        }
    }
    Allocator {
        operators: Operators { new, delete },
        allocate: raw::allocate,
        allocate_zeroed: raw::allocate_zeroed,
        allocate_aligned: raw::allocate_aligned,
        free,
        reallocate,
        usable_size,
        step: |size| raw::good_size(size) + raw::TRAILER,
        collect,
        owns: Some(raw::owns),
        check: Some(check),
        has: |wanted| MITIGATIONS.list().into_iter().any(|(name, in_force)| name == wanted && in_force),
    }
}

/// The cases of any allocator, and those that know Ravelin.
fn cases() -> Cases {
    let own = our_own_memory::cases().into_iter().chain(life::cases());
    corpus::cases::all().into_iter().chain(own.map(Case::own)).collect()
}

/// The column that this build is.
fn column() -> Column {
    let said = env::var("CORPUS_COLUMN").ok().and_then(|name| name.parse().ok());
    said.unwrap_or(if MITIGATIONS.build_name() == "paranoid" { Column::P } else { Column::H })
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(TABLE) || env::args().nth(1).as_deref() == Some(stage::PLAY) {
        let column = ["--column".to_owned(), column().name().to_owned()];
        let args = env::args().take(1).chain(column).chain(env::args().skip(2));
        return match corpus::run::main(ravelin(), cases, args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    choose(ravelin());
    let column = column();
    let trials = cases().into_iter().map(|case| trial(case, column)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What came of each row before: also what is not promised does not change unnoticed.
fn recorded() -> &'static Record {
    static RECORDED: LazyLock<Record> = LazyLock::new(|| Record::read(include_str!("../../recorded.tsv")));
    &RECORDED
}

fn trial(case: Case, column: Column) -> Trial {
    let name = case.name.clone();
    Trial::ignorable_test(name, move || {
        let cell = case.cell(column);
        if let Some(reason) = cell.needs.lacking() {
            return Ok(Completion::ignored_with(reason));
        }
        let setting = Setting { column: Some(column), ..Setting::default() };
        let end = Start { name: &case.name, arrange: case.arrange, setting: &setting }.end();
        if let Some(reason) = end.skipped() {
            return Ok(Completion::ignored_with(reason));
        }
        let played = Played::of(&case, Some(column), column.name().into(), &end);
        match played.failure.clone().or_else(|| recorded().surprise(&played)) {
            None => Ok(Completion::Completed),
            Some(why) => Err(Failed::from(why)),
        }
    })
}
