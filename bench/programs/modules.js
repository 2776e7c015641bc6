// Objects, maps, strings, buffers and JSON. Usage: modules.js ROUNDS
'use strict';

let state = 1;
const chance = (below) => { state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff; return (state >> 8) % below; };
const word = () => Array.from({ length: 2 + chance(10) }, () => String.fromCharCode(97 + chance(26))).join('');

let result = 0;
for (let round = 0; round < Number(process.argv[2]); round++) {
  const index = new Map();
  const records = [];
  for (let id = 0; id < 4000; id++) {
    const record = { id, name: word(), tags: [word(), word()], parent: records[chance(records.length || 1)] || null };
    records.push(record);
    for (const tag of record.tags) {
      if (!index.has(tag)) index.set(tag, []);
      index.get(tag).push(id);
    }
  }
  const text = JSON.stringify(records.map(({ id, name, tags }) => ({ id, name, tags })));
  const again = JSON.parse(text).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id));
  const parts = again.map((record) => Buffer.from(`${record.id}:${record.name}:${record.tags.join()}`));
  const bytes = Buffer.concat(parts);
  const lines = bytes.toString('base64').match(/.{1,76}/g);
  const big = Buffer.alloc(200_000 + chance(100_000), 1);
  result += lines.length + index.size + big.length % 7 + new Set(text.split(/[",:]+/)).size;
}
console.log(result);
