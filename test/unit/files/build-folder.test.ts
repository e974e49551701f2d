import { readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { abandonedIn, buildFolder, removeFolder, removeUnfinishedBuilds } from '../../../src/files/index.ts';
import { temporaryFolder } from '../../support/fixtures.ts';
import { until } from '../../support/until.ts';

const content = (folder: string) => readFile(path.join(folder, 'file'), 'utf8');
const isWhole = (folder: string) =>
  content(folder).then(
    (text) => text === 'whole',
    () => false,
  );
const write = (building: string) => writeFile(path.join(building, 'file'), 'whole');

test('concurrent builds of a folder do not interfere, even if a damaged one exists', async () => {
  for (const before of Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? undefined : 'damaged'))) {
    const parent = await temporaryFolder();
    const folder = path.join(parent, 'built');
    if (before !== undefined) {
      await mkdir(folder);
      await writeFile(path.join(folder, 'file'), before);
    }
    await Promise.all(Array.from({ length: 8 }, () => buildFolder(folder, { write, isWhole })));
    expect(await content(folder)).toBe('whole');
    expect(await readdir(parent)).toEqual(['built']);
  }
});

test('a failed build leaves nothing behind', async () => {
  const parent = await temporaryFolder();
  const failing = async (building: string) => {
    await write(building);
    throw new Error('no more');
  };
  await expect(buildFolder(path.join(parent, 'built'), { write: failing, isWhole })).rejects.toThrow('no more');
  expect(await readdir(parent)).toEqual([]);
});

test('unfinished builds can be removed at any moment, and stay removed', async () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    const parent = await temporaryFolder();
    // Most of the files are still to be created by Node's threads when the folder is removed.
    const write = async (building: string) => {
      await Promise.all(Array.from({ length: 300 }, (_, i) => writeFile(path.join(building, `${i}`), 'part')));
    };
    const built = expect(buildFolder(path.join(parent, 'built'), { write, isWhole })).rejects.toThrow('ENOENT');
    await until(async () => readdirSync(parent, { recursive: true }).length > 5);
    removeUnfinishedBuilds();
    await built;
    expect(await readdir(parent)).toEqual([]);
  }
});

const host = hostname().replace(/\W/g, '_');
const noProcess = 2 ** 22 + 1;

test('leftovers of killed builds are removed, but not those of running ones', async () => {
  const parent = await temporaryFolder();
  const dead = `building-${host}-${noProcess}-0123abcd`;
  const living = `building-${host}-${process.ppid}-0123abcd`;
  const old = 'building-elsewhere-1-0123abcd';
  const young = 'building-elsewhere-2-0123abcd';
  for (const name of [dead, living, old, young]) await mkdir(path.join(parent, name));
  for (const name of [living, old]) await utimes(path.join(parent, name), new Date(0), new Date(0));
  await buildFolder(path.join(parent, 'built'), { write, isWhole });
  expect((await readdir(parent)).sort()).toEqual([young, living, 'built'].sort());
});

test('only leftovers of this program count as abandoned', async () => {
  const folder = await temporaryFolder();
  const left = [`.digest.${host}-${noProcess}-0123abcd`, `building-${host}-${noProcess}-0123abcd`];
  const foreign = ['building-plans', '.hidden.file', 'digest', `digest.${host}-${noProcess}-0123abcd`];
  for (const name of [...left, ...foreign]) {
    await writeFile(path.join(folder, name), '');
    await utimes(path.join(folder, name), new Date(0), new Date(0));
  }
  expect((await abandonedIn(folder)).sort()).toEqual(left.map((name) => path.join(folder, name)).sort());
});

test('removes a folder with read-only files', async () => {
  const parent = await temporaryFolder();
  await mkdir(path.join(parent, 'built/below'), { recursive: true });
  await writeFile(path.join(parent, 'built/below/file'), '', { mode: 0o444 });
  await removeFolder(path.join(parent, 'built'));
  expect(await readdir(parent)).toEqual([]);
});
