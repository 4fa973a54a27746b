// Fills a spool until it is killed, and says after each flush what is durable.

import { diskStorage, Spool } from '#ingest/spool/mod.ts';

const [path] = process.argv.slice(2);
const spool = await Spool.open({ storage: diskStorage(path), fileBytes: 65_536, filesMax: 64 });
for (;;) {
  for (let entry = 0; entry < 50; entry += 1) {
    const content = Buffer.from(`entry ${spool.lastNumber + 1} `.repeat(20));
    if (spool.append(content) === undefined) break;
  }
  await spool.flush();
  process.stdout.write(`${spool.durableThrough}\n`);
}
