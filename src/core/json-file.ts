import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf } from './errors.ts';
import { readableSize } from './readable.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What a file may hold at most. */
export interface FileLimits {
  /** 16 MiB if absent: enough for configuration. */
  readonly maxBytes?: number;
}

/** What a JSON file may hold at most. Parsing many millions of values takes many seconds and gigabytes, and nothing else runs meanwhile. */
export interface JsonLimits extends FileLimits {
  /** Of all objects together. */
  readonly maxKeys?: number;
  /** Elements, values of keys, objects and lists, all together. */
  readonly maxValues?: number;
}

const defaultMaxBytes = 16 * 2 ** 20;

/**
 * A JSON object in a file of a model folder; undefined where there is no such file.
 * @throws {ModelError} the file cannot be read, is not a regular file, is too large, or holds something else than an object
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
 * A text file of a model folder, as UTF-8; undefined where there is no such file.
 * @throws {ModelError} the file cannot be read, is not a regular file, or is too large
 */
export async function readTextFile(
  folder: string,
  name: string,
  { maxBytes = defaultMaxBytes }: FileLimits = {},
): Promise<string | undefined> {
  const file = path.join(folder, name);
  let handle: FileHandle | undefined;
  try {
    // Opening a FIFO waits for a writer unless it is opened without blocking.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (!stats.isFile()) throw new ModelError(`${file} is not a regular file`);
    if (stats.size > maxBytes) {
      throw new ModelError(`${file} has ${readableSize(stats.size)}; at most ${readableSize(maxBytes)} are allowed`);
    }
    return await handle.readFile('utf8');
  } catch (error) {
    if (error instanceof ModelError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ModelError(`${file} cannot be read: ${messageOf(error)}`);
  } finally {
    await handle?.close();
  }
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ModelError(`${file} cannot be read as JSON: ${messageOf(error)}`);
  }
}

/** Counts punctuation, that in strings included, which costs far less than parsing. */
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
