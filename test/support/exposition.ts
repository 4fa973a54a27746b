// Reads Prometheus' text format, version 0.0.4, as its grammar has it, and fails on anything else.

import assert from 'node:assert/strict';

/** One number. */
export interface ExposedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a page of metrics says. */
export interface Exposition {
  /** HELP by metric. */
  readonly helps: ReadonlyMap<string, string>;
  /** TYPE by metric. */
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly ExposedSample[];
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)*)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([+-]?(?:Inf|[0-9.]+(?:e[+-]?\d+)?)|NaN)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/y;

/** Each metric has one HELP, one TYPE, then its samples, all together; every line ends in \n. */
export function readExposition(text: string): Exposition {
  assert.ok(text === '' || text.endsWith('\n'), 'the last line ends');
  const helps = new Map<string, string>();
  const types = new Map<string, string>();
  const samples: ExposedSample[] = [];
  let current = '';
  for (const line of text.split('\n').slice(0, -1)) {
    const [, helped, help] = HELP.exec(line) ?? [];
    const [, typed, type] = TYPE.exec(line) ?? [];
    if (helped !== undefined) {
      assert.ok(!helps.has(helped), `a second HELP of ${helped}`);
      helps.set(helped, unescape(help));
      current = helped;
    } else if (typed !== undefined) {
      assert.equal(typed, current, 'TYPE follows HELP');
      types.set(typed, type);
    } else {
      const sample = readSample(line);
      assert.ok(belongsTo(sample.name, current, types.get(current)), `${line} under ${current}`);
      samples.push(sample);
    }
  }
  return { helps, types, samples };
}

function readSample(line: string): ExposedSample {
  const match = SAMPLE.exec(line);
  assert.ok(match !== null, `not a line of the format: ${line}`);
  const [, name, inBraces = '', value] = match;
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < inBraces.length) {
    const label = LABEL.exec(inBraces);
    assert.ok(label !== null, `labels of ${line}`);
    labels[label[1]] = unescape(label[2]);
  }
  return { name, labels, value: Number(value.replace('Inf', 'Infinity')) };
}

function belongsTo(name: string, metric: string, type: string | undefined): boolean {
  if (type !== 'histogram') return name === metric;
  return [`${metric}_bucket`, `${metric}_sum`, `${metric}_count`].includes(name);
}

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
}
