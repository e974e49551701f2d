import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { buildFolder, ensureFolder } from '../../../src/files/index.ts';
import { temporaryFolder } from '../../support/fixtures.ts';

test('creates a folder and its parents, even concurrently', async () => {
  const parent = await temporaryFolder();
  const folders = ['a/b/c', 'a/b/d', 'a/b/c', 'a'].map((folder) => path.join(parent, folder));
  await Promise.all(folders.map(ensureFolder));
  for (const folder of folders) expect((await stat(folder)).isDirectory()).toBe(true);
});

test('refuses a path with a file in the way', async () => {
  const file = path.join(await temporaryFolder(), 'file');
  await writeFile(file, '');
  await expect(ensureFolder(file)).rejects.toThrow('EEXIST');
  await expect(ensureFolder(path.join(file, 'below'))).rejects.toThrow('ENOTDIR');
});

test.runIf(process.platform === 'linux')('refuses a folder below /proc instead of looping', async () => {
  await expect(ensureFolder('/proc/nope/below')).rejects.toThrow(/ENOENT.*\/proc\/nope/);
  const build = { write: async () => {}, isWhole: async () => false };
  await expect(buildFolder('/proc/nope/built', build)).rejects.toThrow(/ENOENT.*\/proc\/nope/);
});
