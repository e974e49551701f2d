import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf } from './errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * A JSON object in a file of a model folder; undefined where there is no such file.
 * @throws {ModelError} the file cannot be read, or holds something else
 */
export async function readJsonFile(folder: string, name: string): Promise<JsonObject | undefined> {
  const file = path.join(folder, name);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ModelError(`${file} cannot be read as JSON: ${messageOf(error)}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new ModelError(`${file} does not hold a JSON object`);
}
