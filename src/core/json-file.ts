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
  /** Keys of all the objects in a JSON file, roughly: parsing millions of them takes seconds, during which nothing else runs. */
  readonly maxKeys?: number;
}

const defaultMaxBytes = 16 * 2 ** 20;

/**
 * A JSON object in a file of a model folder; undefined where there is no such file.
 * @throws {ModelError} the file cannot be read, is not a regular file, is too large, or holds something else
 */
export async function readJsonFile(
  folder: string,
  name: string,
  { maxKeys = Number.POSITIVE_INFINITY, ...limits }: FileLimits = {},
): Promise<JsonObject | undefined> {
  const file = path.join(folder, name);
  const text = await readTextFile(folder, name, limits);
  if (text === undefined) return undefined;
  if (hasMoreKeysThan(maxKeys, text))
    throw new ModelError(`${file} has more than ${maxKeys} entries, which is the most that is read`);
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
  { maxBytes = defaultMaxBytes }: Pick<FileLimits, 'maxBytes'> = {},
): Promise<string | undefined> {
  const file = path.join(folder, name);
  let handle: FileHandle | undefined;
  try {
    // Opening a FIFO waits for a writer unless it is opened without blocking.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (!stats.isFile()) throw new ModelError(`${file} is not a regular file`);
    if (stats.size > maxBytes) {
      throw new ModelError(`${file} has ${readableSize(stats.size)}, and at most ${readableSize(maxBytes)} are read`);
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

/** Counts `":`, which costs far less than parsing. */
function hasMoreKeysThan(maxKeys: number, text: string): boolean {
  if (text.length <= maxKeys) return false;
  let keys = 0;
  for (let at = text.indexOf('":'); at >= 0 && keys <= maxKeys; at = text.indexOf('":', at + 2)) keys++;
  return keys > maxKeys;
}
