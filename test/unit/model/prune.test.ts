import {
  chmod,
  cp,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findRemovable, openModel, removeFromCache } from '../../../src/model/index.ts';
import { copyOf, patchJson, reference, temporaryFolder } from '../../support/fixtures.ts';
import { graphsIn } from '../../support/refusal.ts';

const mini = reference('opt-mini');
const weights = ['config.json', 'model.safetensors'];

/** The kinds and descriptions of what would be removed. */
async function removable(cacheDir: string, modelFolders: readonly string[] = []): Promise<string[]> {
  const found = await findRemovable({ cacheDir, modelFolders, buildFolders: [path.join(cacheDir, 'models')] });
  return found.map(({ kind, description }) => `${kind}: ${description}`);
}

/** @returns how many bytes it freed */
async function prune(cacheDir: string, modelFolders: readonly string[] = []): Promise<number> {
  const found = await findRemovable({ cacheDir, modelFolders, buildFolders: [] });
  for (const item of found) await removeFromCache(item);
  return found.reduce((sum, { bytes }) => sum + bytes, 0);
}

describe('prune keeps', () => {
  test('graphs in every precision of a folder that was opened with this cache', async () => {
    const cache = await temporaryFolder();
    const folder = await copyOf(mini, weights);
    for (const precision of ['fp32', 'int8'] as const) await openModel(folder, cache, { precision });
    await openModel(folder, cache, { precision: 'int8', int8Range: 127 });
    expect(await removable(cache)).toEqual([]);
    expect(await graphsIn(cache)).toHaveLength(3);
  });

  test('the graph of a folder that was moved and opened again', async () => {
    const cache = await temporaryFolder();
    const folder = await copyOf(mini, weights);
    const { graphPath } = await openModel(folder, cache);
    const moved = path.join(await temporaryFolder(), 'moved');
    await rename(folder, moved);
    await openModel(moved, cache);
    expect(await removable(cache)).toEqual([
      expect.stringMatching(/^digest: of .*model\.safetensors, which no longer exists$/),
    ]);
    await prune(cache);
    expect((await stat(graphPath)).isFile()).toBe(true);
    expect(await removable(cache)).toEqual([]);
  });

  test('the graphs of two folders that share their weights', async () => {
    const cache = await temporaryFolder();
    const folder = await copyOf(mini, weights);
    const other = await copyOf(mini, ['config.json']);
    await symlink(path.join(folder, 'model.safetensors'), path.join(other, 'model.safetensors'));
    await patchJson(path.join(other, 'config.json'), { eos_token_id: 3 });
    for (const model of [folder, other]) await openModel(model, cache);
    expect(await graphsIn(cache)).toHaveLength(2);
    expect(await removable(cache)).toEqual([]);
  });

  test('the graph of a known model whose digests are lost', async () => {
    const cache = await temporaryFolder();
    await openModel(mini, cache);
    await rm(path.join(cache, 'digests'), { recursive: true });
    expect(await removable(cache, [reference('opt-mini-postln'), mini])).toEqual([]);
  });

  test('a graph whose weights have a new time but the same content', async () => {
    const cache = await temporaryFolder();
    const folder = await copyOf(mini, weights);
    await openModel(folder, cache);
    await utimes(path.join(folder, 'model.safetensors'), new Date(0), new Date(0));
    expect(await removable(cache)).toEqual([]);
  });

  test('files that Weft did not write', async () => {
    const cache = await temporaryFolder();
    const other = path.join(cache, `opt-${'0'.repeat(32)}`);
    await mkdir(other);
    await writeFile(path.join(other, 'model.onnx'), '');
    await writeFile(path.join(other, 'notes.txt'), '');
    for (const folder of ['opt-notes', 'building-plans', 'digests', 'models/building-site']) {
      await mkdir(path.join(cache, folder), { recursive: true });
    }
    await writeFile(path.join(cache, 'digests', 'a'.repeat(32)), 'something else');
    await writeFile(path.join(cache, `opt-${'1'.repeat(32)}`), 'a file');
    expect(await removable(cache)).toEqual([]);
  });

  test('quiet about a cache folder that does not exist', async () => {
    expect(await removable(path.join(await temporaryFolder(), 'none'), [mini])).toEqual([]);
  });
});

describe('prune removes', () => {
  test('the graph of a deleted model, and its digests', async () => {
    const cache = await temporaryFolder();
    const folder = await copyOf(mini, weights);
    const { graphPath } = await openModel(folder, cache);
    const kept = (await openModel(reference('opt-mini-postln'), cache)).graphPath;
    await rm(folder, { recursive: true });
    const expected = [
      `digest: of ${graphPath}, which no longer exists`,
      `digest: of ${graphPath}.data, which no longer exists`,
      `digest: of ${path.join(folder, 'model.safetensors')}, which no longer exists`,
      'graph: graph of opt-mini in fp32: no model on this machine uses it',
    ];
    expect((await removable(cache)).sort()).toEqual(expected.sort());
    const bytes = (await stat(`${graphPath}.data`)).size;
    expect(await prune(cache)).toBeGreaterThan(bytes);
    expect(await graphsIn(cache)).toEqual([path.basename(path.dirname(kept))]);
    expect(await readdir(path.join(cache, 'digests'))).toHaveLength(3);
    expect(await removable(cache)).toEqual([]);
  });

  test.each([
    [
      'other weights',
      (folder: string) =>
        cp(path.join(reference('opt-mini-postln'), 'model.safetensors'), path.join(folder, 'model.safetensors')),
    ],
    ['another configuration', (folder: string) => patchJson(path.join(folder, 'config.json'), { eos_token_id: 3 })],
  ])('the graph of a model that now has %s', async (_, change) => {
    const cache = await temporaryFolder();
    const folder = await copyOf(mini, weights);
    await openModel(folder, cache);
    await change(folder);
    expect(await removable(cache, [folder])).toContain(
      'graph: graph of opt-mini in fp32: no model on this machine uses it',
    );
  });

  test('graphs and digests of other versions', async () => {
    const cache = await temporaryFolder();
    const { graphPath } = await openModel(mini, cache);
    const folder = path.dirname(graphPath);
    const older = path.join(cache, `opt-${'0'.repeat(32)}`);
    await cp(folder, older, { recursive: true });
    await chmod(path.join(older, 'graph.json'), 0o644);
    await patchJson(path.join(older, 'graph.json'), { graphVersion: 6 });
    const oldest = path.join(cache, `opt-${'1'.repeat(32)}`);
    await cp(folder, oldest, { recursive: true });
    await rm(path.join(oldest, 'graph.json'));
    await writeFile(path.join(oldest, 'sizes.json'), '[1,2]');
    await writeFile(path.join(cache, 'digests', '0'.repeat(32)), `1 2 3 4\n${'a'.repeat(64)}`);
    expect(await removable(cache)).toEqual([
      'graph: graph of opt-mini in fp32: another version of Weft built it',
      'graph: graph: another version of Weft built it',
      'digest: of an earlier version',
    ]);
    await prune(cache);
    expect(await graphsIn(cache)).toEqual([path.basename(folder)]);
  });

  test('leftovers of killed processes', async () => {
    const cache = await temporaryFolder();
    const writer = `${hostname().replace(/\W/g, '_')}-${2 ** 22 + 1}-0123abcd`;
    const left = [`building-${writer}`, `models/building-${writer}`];
    for (const folder of left) await mkdir(path.join(cache, folder), { recursive: true });
    await mkdir(path.join(cache, 'digests'));
    await writeFile(path.join(cache, 'digests', `.${'0'.repeat(32)}.${writer}`), 'half');
    expect(await removable(cache)).toEqual(
      Array.from({ length: 3 }, () => 'unfinished: left behind by a process that has ended'),
    );
  });
});

test('a removed graph stays readable for a process that has it open', async () => {
  const cache = await temporaryFolder();
  const folder = await copyOf(mini, weights);
  const { graphPath } = await openModel(folder, cache);
  const whole = await readFile(`${graphPath}.data`);
  const served = await open(`${graphPath}.data`);
  await rm(folder, { recursive: true });
  await prune(cache);
  expect(await graphsIn(cache)).toEqual([]);
  expect(whole.equals(await served.readFile())).toBe(true);
  await served.close();
});
