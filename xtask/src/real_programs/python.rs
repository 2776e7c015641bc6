//! Python's own tests. Every object goes through malloc (`PYTHONMALLOC=malloc`): its own allocator would hide ours.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::setting::Bench;

const PACKAGE: &str = "python3 and libpython3.11-testsuite (the version that python3 has)";
const TESTS: [&str; 5] = ["test_json", "test_re", "test_threading", "test_dict", "test_gc"];
const FORK: &str = "test_multiprocessing_fork";
/// The parts of [`FORK`] that a quick run takes: the whole of it sleeps for a minute.
const FORK_QUICK: [&str; 5] = [
    "*WithProcessesTestPool*",
    "*WithProcessesTestQueue*",
    "*WithProcessesTestLock*",
    "*WithProcessesTestEvent*",
    "*WithProcessesTestSharedMemory*",
];

/// Every test by name, and what became of it.
pub fn run(bench: &Bench) -> Result<String> {
    let mut results = tests(bench, &TESTS, &[])?;
    results += &tests(bench, &[FORK], bench.size.pick(&FORK_QUICK, &[]))?;
    Ok(results)
}

fn tests(bench: &Bench, names: &[&str], parts: &[&str]) -> Result<String> {
    let report = bench.scratch("junit.xml");
    let mut python = bench.command("python3", PACKAGE)?;
    // The tests want a HOME that they may not find again, and fixed hashes make sets print alike.
    python.env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "1");
    python.args(["-m", "test", "--junit-xml"]).arg(&report);
    for part in parts {
        python.args(["--match", part]);
    }
    let said = bench.run(python.args(names)).with_context(|| format!("needs {PACKAGE}"))?;
    ensure!(said.contains("Tests result: SUCCESS"), "python's tests: {said}");
    let results = results(&fs::read_to_string(&report)?);
    ensure!(!results.is_empty(), "python ran no test");
    Ok(results.join("\n") + "\n")
}

/// `<testcase name="N" status="S" result="R" time="T">` and, inside it, perhaps `<skipped>`: what is not the time.
fn results(xml: &str) -> Vec<String> {
    let cases = xml.split("<testcase ").skip(1);
    let mut results: Vec<String> = cases
        .map(|case| {
            let (attributes, rest) = case.split_once('>').unwrap_or((case, ""));
            let kept = attributes.split(" time=").next().unwrap_or_default();
            let inside = if rest.starts_with("<skipped") { " skipped" } else { "" };
            format!("{kept}{inside}")
        })
        .collect();
    results.sort();
    results
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_leave_out_the_time_and_keep_what_became_of_a_test() {
        let xml = r#"<testsuite><testcase name="b" status="run" result="completed" time="0.1" />
            <testcase name="a" status="run" result="skipped" time="0.2"><skipped>no</skipped></testcase></testsuite>"#;
        assert_eq!(
            super::results(xml),
            [r#"name="a" status="run" result="skipped" skipped"#, r#"name="b" status="run" result="completed""#]
        );
    }
}
