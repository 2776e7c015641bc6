-- Tables, indices, joins and sorting in memory. ROUNDS is replaced by how many thousand orders there are.
PRAGMA cache_size = -64000;
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, town TEXT);
CREATE TABLE item (id INTEGER PRIMARY KEY, customer INTEGER, what TEXT, price REAL, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
  INSERT INTO customer SELECT i, 'customer ' || (i * 7919 % 2003), 'town ' || (i % 97) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ROUNDS * 1000)
  INSERT INTO item SELECT i, i * 31 % 2000 + 1, 'item ' || (i * 104729 % 977), i % 1009 / 7.0,
    substr('a note that is longer or shorter, as notes are, and says little', 1, i % 60) FROM n;
CREATE INDEX by_what ON item (what, customer);
CREATE INDEX by_customer ON item (customer);
SELECT count(*), round(sum(total)) FROM (
  SELECT town, what, sum(price) AS total FROM item JOIN customer ON customer.id = item.customer GROUP BY town, what);
SELECT length(group_concat(name, ';')) FROM (
  SELECT name, count(DISTINCT what) AS kinds FROM customer JOIN item ON item.customer = customer.id
  GROUP BY customer.id ORDER BY kinds DESC, name);
UPDATE item SET note = upper(note) || what WHERE id % 3 = 0;
DELETE FROM item WHERE id % 5 = 0;
SELECT count(*), sum(length(note)) FROM item WHERE note LIKE '%LONGER%' OR what IN (SELECT what FROM item WHERE price < 2);
