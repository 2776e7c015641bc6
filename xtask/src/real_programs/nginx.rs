//! nginx on a free loopback port, its files fetched and compared, then under wrk for a few seconds.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::data::Numbers;
use super::redis::await_socket;
use super::setting::Bench;

pub fn run(bench: &Bench) -> Result<String> {
    let pages = pages(bench)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let configuration = bench.write("nginx.conf", &configuration(port))?;

    let mut server = bench.command("nginx", "nginx")?;
    // The log on standard error from the first moment on, where reports are looked for.
    server.args(["-e", "stderr", "-p"]).arg(bench.folder()).arg("-c").arg(configuration);
    let server = bench.start(&mut server)?;
    await_socket(&server, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;

    let mut output = String::new();
    for page in pages.iter().map(String::as_str).chain(["/missing", "/moved/x"]) {
        for encoding in ["identity", "gzip"] {
            writeln!(output, "{page} {encoding} {}", fetch(port, page, encoding)?)?;
        }
    }

    let url = format!("http://127.0.0.1:{port}/page-3.html");
    let mut wrk = bench.command("wrk", "wrk")?;
    wrk.args(["--threads", "1", "--connections", "16", "--duration", bench.size.pick("2s", "20s")]);
    let said = bench.run(wrk.args(["--header", "Accept-Encoding: gzip", &url]))?;
    ensure!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "wrk: {said}");
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")).context("wrk gives no rate")?;
    // What 10,000 requests take: wrk runs for a time, not for a number.
    bench.set_wall(Duration::from_secs_f64(10_000.0 / rate.trim().parse::<f64>()?));
    server.stop(libc::SIGQUIT, bench)?;
    Ok(output)
}

fn pages(bench: &Bench) -> Result<Vec<String>> {
    let mut numbers = Numbers::new(4);
    fs::create_dir_all(bench.scratch("html"))?;
    let mut paths = Vec::new();
    for page in 0..8_u64 {
        let words: Vec<String> = (0..50 << page).map(|_| numbers.word()).collect();
        bench.write(&format!("html/page-{page}.html"), &format!("<html><body>{}</body></html>\n", words.join(" ")))?;
        paths.push(format!("/page-{page}.html"));
    }
    Ok(paths)
}

/// A master and two workers, everything below the prefix, nothing that needs a privilege.
fn configuration(port: u16) -> String {
    // SAFETY: geteuid only reads.
    let root = unsafe { libc::geteuid() } == 0;
    // Root would become a user who may not read the prefix; anyone else may not choose.
    let user = if root { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind}_temp;\n"))
        .concat();
    format!(
        "daemon off; worker_processes 2; pid nginx.pid; error_log stderr notice; {user}
         events {{ worker_connections 64; }}
         http {{
             access_log off; {temporary}
             gzip on; gzip_types text/html; gzip_min_length 1; gzip_comp_level 2;
             server_tokens off; etag off; default_type text/html;
             server {{
                 listen 127.0.0.1:{port}; root html;
                 location ~ ^/moved/(.*)$ {{ return 302 /page-$1.html; }}
                 location /page-1.html {{ ssi on; sub_filter ra RA; sub_filter_once off; }}
             }}
         }}\n"
    )
}

/// Status and body, as a hash of a kind: the headers hold dates.
fn fetch(port: u16, page: &str, encoding: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {page} HTTP/1.0\r\nHost: localhost\r\nAccept-Encoding: {encoding}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no end of the headers")?;
    let (head, body) = answer.split_at(end + 4);
    let status = String::from_utf8_lossy(head).lines().next().unwrap_or_default().to_owned();
    // FNV-1a: to tell bodies apart, not to withstand anyone.
    let hash = body
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Ok(format!("{status} {} {hash:016x}", body.len()))
}
