//! gawk, sort and xz over generated text.

use std::fs;

use anyhow::{Result, ensure};

use super::setting::Bench;

const GAWK: &str = r#"
{ for (i = 2; i <= NF; i++) { count[$i]++; sum[$i] += $1; at[$i] = at[$i] (length(at[$i]) < 200 ? " " FNR : "") } }
{ reversed = ""; for (i = length($0); i > 0; i--) reversed = reversed substr($0, i, 1); total += length(reversed) }
{ gsub(/[aeiou]+/, "<&>"); split($0, parts, "<"); pieces += length(parts) }
END {
    PROCINFO["sorted_in"] = "@ind_str_asc"
    for (word in count) printf "%s %d %d%s\n", word, count[word], sum[word], at[word]
    print total, pieces
}
"#;

/// Counts words and sums numbers in arrays of strings.
pub fn gawk(bench: &Bench) -> Result<String> {
    let program = bench.write("work.awk", GAWK)?;
    bench.run(bench.command("gawk", "gawk")?.arg("-f").arg(program).arg(bench.data("lines.txt")))
}

/// By the number, then by the text, with two threads and a buffer too small for the whole.
pub fn sort(bench: &Bench) -> Result<String> {
    let sorted = bench.scratch("sorted.txt");
    let mut output = String::new();
    for keys in [&["--key=1,1n"][..], &["--key=2", "--unique"], &["--key=3,3", "--key=1,1nr", "--stable"]] {
        let mut sort = bench.command("sort", "coreutils")?;
        sort.args(["--parallel=2", "--buffer-size=8M"]).args(keys).arg("--output").arg(&sorted);
        output += &bench.run(sort.arg(bench.data("lines.txt")))?;
        output += &format!("{keys:?} {}\n", bench.sha256(&sorted)?);
    }
    Ok(output)
}

/// Packs with two threads and unpacks again.
pub fn xz(bench: &Bench) -> Result<String> {
    let (text, packed, unpacked) = (bench.data("lines.txt"), bench.scratch("lines.txt.xz"), bench.scratch("lines.txt"));
    fs::copy(&text, &unpacked)?;
    let level = bench.size.pick("-2", "-6");
    bench.run(bench.command("xz", "xz-utils")?.args(["--threads=2", "--block-size=1MiB", level]).arg(&unpacked))?;
    let hash = bench.sha256(&packed)?;
    bench.run(bench.command("xz", "xz-utils")?.args(["--decompress", "--threads=2"]).arg(&packed))?;
    ensure!(fs::read(&text)? == fs::read(&unpacked)?, "unpacking does not give back what was packed");
    Ok(hash)
}
