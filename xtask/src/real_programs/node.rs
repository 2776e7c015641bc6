//! node: a large C++ program with its own heap beside ours; buffers, zlib, crypto and worker threads use malloc.

use anyhow::Result;

use super::setting::Bench;

const SCRIPT: &str = r#"
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const crypto = require('crypto');
const zlib = require('zlib');

function work(seed, rounds) {
    let state = seed >>> 0;
    const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
    const hash = crypto.createHash('sha256');
    for (let round = 0; round < rounds; round++) {
        const items = [];
        for (let i = 0; i < 2000; i++) items.push({ id: i, name: 'n' + next().toString(36), tags: [next() % 7, next() % 11] });
        const text = JSON.stringify(items);
        const packed = zlib.gzipSync(text, { level: 5 });
        const back = JSON.parse(zlib.gunzipSync(packed).toString());
        const buffers = back.map(item => Buffer.alloc(item.tags[0] * 300 + item.tags[1], item.name));
        const all = Buffer.concat(buffers);
        const key = crypto.createHash('md5').update(all).digest();
        const cipher = crypto.createCipheriv('aes-128-cbc', key, Buffer.alloc(16));
        hash.update(cipher.update(all)); hash.update(cipher.final());
        const map = new Map(back.map(item => [item.name, item]));
        hash.update([...map.keys()].sort().slice(0, 50).join());
    }
    return hash.digest('hex');
}

if (!isMainThread) {
    parentPort.postMessage(work(workerData.seed, workerData.rounds));
} else {
    const rounds = Number(process.argv[2]);
    console.log('main', work(1, rounds));
    const workers = [2, 3, 4, 5].map(seed => new Promise((resolve, reject) => {
        const worker = new Worker(__filename, { workerData: { seed, rounds: Math.ceil(rounds / 2) } });
        worker.on('message', resolve); worker.on('error', reject);
    }));
    Promise.all(workers).then(results => results.forEach((result, index) => console.log('worker', index, result)));
}
"#;

pub fn run(bench: &Bench) -> Result<String> {
    let script = bench.write("work.js", SCRIPT)?;
    bench.run(bench.command("node", "nodejs")?.arg(script).arg(bench.size.pick("12", "150")))
}
