// The contract as declarations of TypeScript, for who reads the answers and must not depend on what
// the contract is made of. Knows the JSON schemas that the contract uses and no others. The text is
// laid out as the formatter of this project would.

import { assert } from '#base/mod.ts';

/** A part of the contract, as it stands in the document of the API. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly description?: string;
}

/** How declarations are written. */
export interface DeclarationStyle {
  /** A member that may be left out may also be given as undefined: what is asked, not answered. */
  readonly isQuestion: boolean;
  /** Types elsewhere that are one of given words, by those words, joined with a blank. */
  readonly wordTypes: ReadonlyMap<string, string>;
}

const WIDTH = 100;

/** `schema` as an exported type called `name`, with its description and those of its members. */
export function declarationOf(name: string, schema: JsonSchema, style: DeclarationStyle): string {
  const doc = comment(schema.description, '');
  assert(doc !== '', `${name} is described`);
  if (schema.properties !== undefined)
    return `${doc}export interface ${name} ${typeOf(schema, '', style)}\n`;
  const type = typeOf(schema, '', style);
  const line = `export type ${name} = ${type};`;
  return `${doc}${line.length <= WIDTH ? line : `export type ${name} =${stacked(type, '  ')};`}\n`;
}

function typeOf(schema: JsonSchema, indent: string, style: DeclarationStyle): string {
  const { $ref: reference, const: constant, enum: words, anyOf, items, properties } = schema;
  if (reference !== undefined) return reference.replace(/^.*\/|#$/g, '');
  if (constant !== undefined) return `'${constant}'`;
  if (words !== undefined) {
    const named = style.wordTypes.get(words.join(' '));
    return named ?? words.map((word) => `'${word}'`).join(' | ');
  }
  if (anyOf !== undefined) return anyOf.map((one) => typeOf(one, indent, style)).join(' | ');
  if (items !== undefined) return `readonly ${typeOf(items, indent, style)}[]`;
  if (properties !== undefined) return membersOf(schema, indent, style);
  return PLAIN_TYPES.get(schema.type) ?? 'unknown';
}

const PLAIN_TYPES: ReadonlyMap<string | undefined, string> = new Map([
  ['string', 'string'],
  ['integer', 'number'],
  ['boolean', 'boolean'],
  ['null', 'null'],
]);

function membersOf(schema: JsonSchema, indent: string, style: DeclarationStyle): string {
  const inner = `${indent}  `;
  const members = Object.entries(schema.properties ?? {}).map(([name, member]) => {
    const isRequired = schema.required?.includes(name) === true;
    const type = typeOf(member, inner, style);
    const whole = !isRequired && style.isQuestion ? `${type} | undefined` : type;
    const head = `${inner}readonly ${name}${isRequired ? '' : '?'}:`;
    const line = `${head} ${whole};`;
    const isShort = whole.includes('\n') || line.length <= WIDTH;
    const text = isShort ? line : `${head}${stacked(whole, `${inner}  `)};`;
    return `${comment(descriptionOf(member), inner)}${text}\n`;
  });
  return `{\n${members.join('')}${indent}}`;
}

/** A union with each choice on a line of its own. */
function stacked(type: string, indent: string): string {
  return type
    .split(' | ')
    .map((choice) => `\n${indent}| ${choice}`)
    .join('');
}

function descriptionOf({ description, anyOf }: JsonSchema): string | undefined {
  return description ?? anyOf?.[0]?.description;
}

function comment(text: string | undefined, indent: string): string {
  if (text === undefined) return '';
  const line = `${indent}/** ${text} */`;
  if (line.length <= WIDTH) return `${line}\n`;
  const lines = wrapped(text, WIDTH - indent.length - 3);
  return `${indent}/**\n${lines.map((one) => `${indent} * ${one}\n`).join('')}${indent} */\n`;
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    const isFitting = last !== undefined && last.length + 1 + word.length <= width;
    if (isFitting) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
