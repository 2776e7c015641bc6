//! git: thousands of files added, packed, and looked at. Authors and dates are fixed, so the hashes are the output.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;

use super::data::Numbers;
use super::setting::Bench;

const FILES: u64 = 5_000;

pub fn run(bench: &Bench) -> Result<String> {
    let tree = bench.scratch("tree");
    let mut numbers = Numbers::new(2);
    for file in 0..FILES {
        let directory = tree.join(format!("part-{}", file % 50));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("file-{file}.txt")), text(&mut numbers, 40))?;
    }

    let git = |arguments: &[&str]| {
        let mut git = bench.command("git", "git")?;
        git.current_dir(&tree).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.invalid");
            git.env(format!("GIT_{who}_DATE"), "2024-01-01T00:00:00Z");
        }
        bench.run(git.args(["-c", "gc.auto=0", "-c", "advice.detachedHead=false"]).args(arguments))
    };
    git(&["init", "--quiet", "--initial-branch=main"])?;
    git(&["add", "."])?;
    git(&["commit", "--quiet", "--message=all"])?;
    for round in 0..bench.size.pick(3, 20) {
        for file in (0..FILES).filter(|file| file % 20 == round) {
            let path = tree.join(format!("part-{}/file-{file}.txt", file % 50));
            let changed = fs::read_to_string(&path)? + &text(&mut numbers, 3);
            fs::write(&path, changed)?;
        }
        git(&["commit", "--quiet", "--all", &format!("--message=round {round}")])?;
    }
    git(&["gc", "--quiet", "--aggressive"])?;

    let mut output = String::new();
    for arguments in [
        &["log", "--stat", "--format=fuller"][..],
        &["log", "-p", "--max-count=2"],
        &["rev-list", "--objects", "--all"],
        &["ls-files", "--stage"],
        &["grep", "--count", "lin", "HEAD", "--", "part-1"],
        &["blame", "part-0/file-0.txt"],
        &["fsck", "--full", "--no-progress"],
        &["status", "--short"],
    ] {
        writeln!(output, "{arguments:?}")?;
        output += &git(arguments)?;
    }
    Ok(output)
}

fn text(numbers: &mut Numbers, lines: u32) -> String {
    (0..lines).map(|_| format!("{} {} {}\n", numbers.word(), numbers.word(), numbers.below(1000))).collect()
}
