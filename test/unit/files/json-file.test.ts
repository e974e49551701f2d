import { execFileSync } from 'node:child_process';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../../src/core/index.ts';
import { readJsonFile, readTextFile } from '../../../src/files/index.ts';
import { temporaryFolder } from '../../support/fixtures.ts';

const name = 'config.json';

async function folderWith(content: string): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, name), content);
  return folder;
}

test('reads an object; a missing file is undefined', async () => {
  const folder = await folderWith('{"a": [1]}');
  expect(await readJsonFile(folder, name)).toEqual({ a: [1] });
  expect(await readTextFile(folder, name)).toBe('{"a": [1]}');
  expect(await readJsonFile(folder, 'other.json')).toBeUndefined();
  expect(await readTextFile(folder, 'other.json')).toBeUndefined();
});

describe('what is refused', () => {
  // Opening it would block until something writes to it.
  test.skipIf(process.platform === 'win32')('a FIFO', async () => {
    const folder = await temporaryFolder();
    execFileSync('mkfifo', [path.join(folder, name)]);
    await expect(readJsonFile(folder, name)).rejects.toThrow(
      /config\.json cannot be read: it is .*, not a regular file$/,
    );
    await expect(readTextFile(folder, name)).rejects.toThrow(ModelError);
  });

  test('a folder', async () => {
    const folder = await temporaryFolder();
    await mkdir(path.join(folder, name));
    await expect(readJsonFile(folder, name)).rejects.toThrow(
      /config\.json cannot be read: it is .*, not a regular file$/,
    );
  });

  test('a file over its limit, before it is read', async () => {
    const folder = await folderWith('{}');
    // The file is sparse and takes no disk space.
    await truncate(path.join(folder, name), 2 ** 36);
    await expect(readJsonFile(folder, name)).rejects.toThrow(
      /config\.json cannot be read: it has 68,719,476,736 bytes; at most 16,777,216 are allowed$/,
    );
    await expect(readTextFile(folder, name, { maxBytes: 1000 })).rejects.toThrow(/at most 1,000 are allowed$/);
  });

  test.each([
    ['more keys than allowed', '{"a": 1, "b": {"c": 2}}', /has about 3 keys; at most 2 are allowed$/],
    ['more values than allowed', '{"a": [1, [], 3]}', /has about 5 values; at most 4 are allowed$/],
    ['something other than an object', '[]', /does not hold a JSON object$/],
    ['no JSON', '{"a": ', /cannot be read as JSON: /],
  ])('%s', async (_, content, message) => {
    const reading = readJsonFile(await folderWith(content), name, { maxKeys: 2, maxValues: 4 });
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(ModelError);
  });
});
