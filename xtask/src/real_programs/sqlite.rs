//! sqlite3: 100,000 rows, indexes, queries that sort and group, an update, a vacuum.

use anyhow::Result;

use super::setting::Bench;

pub fn run(bench: &Bench) -> Result<String> {
    let rows = bench.size.pick(100_000, 1_000_000);
    let script = format!(
        "
        PRAGMA synchronous = OFF;
        CREATE TABLE items(id INTEGER PRIMARY KEY, number INTEGER, name TEXT, body TEXT);
        BEGIN;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
            INSERT INTO items SELECT i, (i * 2654435761) % 1000003, printf('name-%07d', (i * 40503) % 65536),
                substr(hex(i * 7919) || '-' || hex(zeroblob(i % 90)), 1, 20 + i % 150) FROM n;
        COMMIT;
        CREATE INDEX by_number ON items(number);
        CREATE INDEX by_name ON items(name, number);
        CREATE TABLE counts AS SELECT name, count(*) AS n, sum(number) AS total FROM items GROUP BY name;
        CREATE UNIQUE INDEX counts_by_name ON counts(name);
        SELECT n, count(*) FROM counts GROUP BY n ORDER BY n;
        SELECT a.name, a.number, b.total FROM items a JOIN counts b ON a.name = b.name ORDER BY a.body, a.id LIMIT 500;
        SELECT group_concat(DISTINCT substr(name, 8, 4)) FROM (SELECT name FROM items ORDER BY name LIMIT 5000);
        UPDATE items SET body = body || upper(name), number = number + 1 WHERE id % 3 = 0;
        DELETE FROM items WHERE number % 5 = 0;
        SELECT json_group_array(json_object('id', id, 'body', body)) FROM (SELECT * FROM items ORDER BY number, id LIMIT 200);
        VACUUM;
        PRAGMA integrity_check;
        SELECT count(*), sum(length(body)), min(number), max(number) FROM items;
        .sha3sum
        "
    );
    let script = bench.write("work.sql", &script.lines().map(str::trim_start).collect::<Vec<_>>().join("\n"))?;
    let mut sqlite = bench.command("sqlite3", "sqlite3")?;
    bench.run(sqlite.args(["-batch", "-bail", "work.db"]).arg(format!(".read {}", script.display())))
}
