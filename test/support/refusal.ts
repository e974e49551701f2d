import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { ModelError } from '../../src/core/index.ts';
import { openModel } from '../../src/model/index.ts';
import { temporaryFolder } from './fixtures.ts';

/** The one-line reason why a model folder is refused. Checks that the attempt leaves nothing in the cache. */
export async function refusal(folder: string): Promise<string> {
  const cache = await temporaryFolder();
  const error: unknown = await openModel(folder, cache).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ModelError);
  expect(await graphsIn(cache)).toEqual([]);
  const { message } = error as ModelError;
  expect(message).not.toContain('\n');
  return message;
}

/** The entries of a cache folder other than the digests of files. */
export async function graphsIn(cache: string): Promise<string[]> {
  return (await readdir(cache)).filter((name) => name !== 'digests');
}
