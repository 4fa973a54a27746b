// A program for whoever changes the contract: writes the types that the client has of it.

import { writeFileSync } from 'node:fs';
import { clientTypes } from './client-types.ts';

for (const [path, text] of clientTypes()) {
  writeFileSync(new URL(`../${path}`, import.meta.url), text);
}
