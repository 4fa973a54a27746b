// Checks path and query parameters, and bodies, against the contract before anything else happens.
// Stricter than the usual coercion, which would take "1e3" and " 7" for numbers and the last of two
// values for the only one: a request that is not understood to the letter is refused, naming the
// parameter and what it wants.

import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { BackcastError, type ErrorCode, parseInstant } from '#base/mod.ts';

/** What the contract says of one parameter. */
interface ParameterSchema {
  readonly type?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

interface ParametersSchema {
  readonly properties?: Readonly<Record<string, ParameterSchema>>;
  readonly required?: readonly string[];
}

/**
 * Makes Fastify check parameters with checkParameters, and bodies against their schema as they are.
 */
export const strictValidatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  if (httpPart === 'body') return bodyValidator(schema);
  const code = httpPart === 'params' ? 'BACKCAST_CHANNEL_NAME' : 'BACKCAST_RANGE_INVALID';
  return (given: Readonly<Record<string, unknown>>) => {
    try {
      return { value: checkParameters(schema, given, code) };
    } catch (error) {
      if (error instanceof BackcastError) return { error };
      throw error;
    }
  };
};

function bodyValidator(schema: TSchema) {
  const compiled = Compile(schema);
  return (given: unknown) => {
    if (compiled.Check(given)) return { value: given };
    const [{ instancePath, message }] = compiled.Errors(given);
    const place = instancePath === '' ? 'The body' : `The body at ${quote(instancePath)}`;
    return { error: new BackcastError('BACKCAST_RANGE_INVALID', `${place} ${message}.`) };
  };
}

/**
 * `given` with integers as numbers; throws a BackcastError with `code` at the first that is wrong.
 */
export function checkParameters(
  schema: ParametersSchema,
  given: Readonly<Record<string, unknown>>,
  code: ErrorCode,
): Record<string, string | number> {
  const known = schema.properties ?? {};
  const checked: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(known, name)) {
      throw new BackcastError(code, `Unknown parameter ${quote(name)}. ${listNames(known)}`);
    }
    if (typeof value !== 'string') {
      throw new BackcastError(code, `Parameter "${name}" is given more than once. Give it once.`);
    }
    const complaint = complaintAbout(value, known[name]);
    if (complaint !== undefined) {
      throw new BackcastError(code, `Parameter "${name}" is ${quote(value)}: ${complaint}`);
    }
    checked[name] = known[name].type === 'integer' ? Number(value) : value;
  }
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(checked, name)) {
      throw new BackcastError(code, `Parameter "${name}" is missing. ${listNames(known)}`);
    }
  }
  return checked;
}

function complaintAbout(value: string, schema: ParameterSchema): string | undefined {
  if (schema.type === 'integer') return complaintAboutInteger(value, schema);
  if (schema.format === 'date-time') return complaintAboutInstant(value);
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    return `it must be one of ${schema.enum.join(', ')}.`;
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    return `it must match ${schema.pattern}.`;
  }
  return undefined;
}

function complaintAboutInteger(value: string, schema: ParameterSchema): string | undefined {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema;
  const isInteger = /^(0|[1-9][0-9]{0,15})$/.test(value);
  if (isInteger && Number(value) >= minimum && Number(value) <= maximum) return undefined;
  return `it must be a whole number from ${minimum} to ${maximum}, in plain digits.`;
}

function complaintAboutInstant(value: string): string | undefined {
  if (parseInstant(value) !== undefined) return undefined;
  const hint = / \d{2}:\d{2}$/.test(value) ? ' A plus sign is written %2B in a URL.' : '';
  return `it must be an RFC 3339 instant with an offset, as 2026-11-22T14:05:00.000001Z.${hint}`;
}

function listNames(known: Readonly<Record<string, ParameterSchema>>): string {
  const names = Object.keys(known);
  return names.length === 0 ? 'None is taken here.' : `Known here: ${names.join(', ')}.`;
}

/** `text` for a message, cut to a readable length and without control characters. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
