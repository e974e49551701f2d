import path from 'node:path';
import { ModelError, messageOf } from '../core/index.ts';
import { readSmallFile } from './regular-file.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** How large a file may be. */
export interface FileLimits {
  /** Defaults to 16 MiB, which is plenty for configuration. */
  readonly maxBytes?: number;
}

/**
 * How large a JSON file may be and how much it may hold.
 * Parsing millions of values blocks the event loop for seconds and takes gigabytes of memory.
 */
export interface JsonLimits extends FileLimits {
  /** Keys of all objects together. */
  readonly maxKeys?: number;
  /** List elements, property values, objects and lists together. */
  readonly maxValues?: number;
}

const defaultMaxBytes = 16 * 2 ** 20;

/**
 * Reads a JSON object from a model folder. Returns undefined if the file does not exist.
 * @throws {ModelError} the file cannot be read, is not a regular file, is too large, or does not hold an object
 */
export async function readJsonFile(
  folder: string,
  name: string,
  limits: JsonLimits = {},
): Promise<JsonObject | undefined> {
  const file = path.join(folder, name);
  const text = await readTextFile(folder, name, limits);
  if (text === undefined) return undefined;
  expectSmallStructure(text, file, limits);
  const value = parse(text, file);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new ModelError(`${file} does not hold a JSON object`);
}

/**
 * Reads a UTF-8 text file from a model folder. Returns undefined if the file does not exist.
 * @throws {ModelError} the file cannot be read, is not a regular file, or is too large
 */
export async function readTextFile(
  folder: string,
  name: string,
  { maxBytes = defaultMaxBytes }: FileLimits = {},
): Promise<string | undefined> {
  const file = path.join(folder, name);
  try {
    return await readSmallFile(file, maxBytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`);
  }
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ModelError(`${file} cannot be read as JSON: ${messageOf(error)}`);
  }
}

/** Estimates by counting punctuation, also inside strings. That costs far less than parsing. */
function expectSmallStructure(text: string, file: string, { maxKeys, maxValues }: JsonLimits): void {
  if (maxKeys === undefined || maxValues === undefined) return;
  let keys = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === colon) keys++;
    else if (unit === comma || unit === bracket || unit === brace) values++;
  }
  if (keys > maxKeys) throw new ModelError(`${file} has about ${keys} keys; at most ${maxKeys} are allowed`);
  if (values > maxValues) throw new ModelError(`${file} has about ${values} values; at most ${maxValues} are allowed`);
}

const [colon, comma, bracket, brace] = [0x3a, 0x2c, 0x5b, 0x7b];
