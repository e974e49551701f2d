import { createHash } from 'node:crypto';
import {
  appendFile,
  chmod,
  copyFile,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ModelError } from '../../../src/core/index.ts';
import { rememberedContent } from '../../../src/model/file-digest.ts';
import { openModel } from '../../../src/model/index.ts';
import { copyOf, patchJson, reference, temporaryFolder, variants } from '../../support/fixtures.ts';
import { graphsIn } from '../../support/refusal.ts';
import { until } from '../../support/until.ts';

const mini = reference('opt-mini');

/** The contents of a folder's files, in hexadecimal. */
async function contentsOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  const contents = names.map(async (name) => [name, (await readFile(path.join(folder, name))).toString('hex')]);
  return Object.fromEntries(await Promise.all(contents));
}

const longAgo = new Date(0);

/** Resolves once the files of a folder are old enough for their times to be reliable. */
async function atRest(folder: string): Promise<void> {
  const stats = await Promise.all((await readdir(folder)).map((name) => stat(path.join(folder, name))));
  const changedAtMs = Math.max(...stats.map(({ ctimeMs }) => ctimeMs));
  await until(async () => Date.now() - changedAtMs > 120);
}

describe('the graph cache', () => {
  test('returns an existing graph without rebuilding it', async () => {
    const cache = await temporaryFolder();
    const progress: number[] = [];
    const first = await openModel(mini, cache, { onProgress: (done) => progress.push(done) });
    const numCalls = progress.length;
    const second = await openModel(mini, cache, { onProgress: (done) => progress.push(done) });
    expect(second.graphPath).toBe(first.graphPath);
    expect(numCalls).toBeGreaterThan(0);
    expect(progress).toHaveLength(numCalls);
  });

  test('knows a model by its content, not by its name', async () => {
    const cache = await temporaryFolder();
    const copy = await copyOf(mini, ['config.json', 'model.safetensors']);
    const original = (await openModel(mini, cache)).graphPath;
    expect((await openModel(copy, cache)).graphPath).toBe(original);
    await copyFile(path.join(reference('opt-mini-postln'), 'config.json'), path.join(copy, 'config.json'));
    await copyFile(path.join(reference('opt-mini-postln'), 'model.safetensors'), path.join(copy, 'model.safetensors'));
    expect((await openModel(copy, cache)).graphPath).not.toBe(original);
  });

  test('handles two builds of the same graph at once', async () => {
    const cache = await temporaryFolder();
    const [a, b] = await Promise.all([openModel(mini, cache), openModel(mini, cache)]);
    expect(a.graphPath).toBe(b.graphPath);
    expect(await graphsIn(cache)).toHaveLength(1);
  });

  describe.each(['model.onnx', 'model.onnx.data', 'graph.json'])('rebuilds a graph whose %s', (name) => {
    const zeroHalf = async (file: string) => {
      const bytes = await readFile(file);
      await writeFile(file, bytes.fill(0, 0, bytes.length >> 1));
    };
    const flipOneByte = async (file: string) => {
      const bytes = await readFile(file);
      const at = bytes.length >> 1;
      bytes.writeUInt8((bytes.readUInt8(at) + 1) & 0x7f, at);
      await writeFile(file, bytes);
      await utimes(file, longAgo, longAgo);
    };
    test.each([
      ['has its first half zeroed', zeroHalf],
      ['has one changed byte and the old mtime', flipOneByte],
      ['is truncated', (file: string) => truncate(file, 10)],
      ['is too long', (file: string) => appendFile(file, 'more')],
      ['is gone', rm],
    ])('%s', async (_, damage) => {
      const cache = await temporaryFolder();
      const { graphPath } = await openModel(mini, cache);
      const folder = path.dirname(graphPath);
      const whole = await contentsOf(folder);
      const served = await open(`${graphPath}.data`);
      onTestFinished(() => served.close());
      await utimes(path.join(folder, name), longAgo, longAgo);
      await chmod(path.join(folder, name), 0o644);
      await atRest(folder);
      await openModel(mini, cache);
      await damage(path.join(folder, name));
      const problems: string[] = [];
      await openModel(mini, cache, { onDamage: (problem) => problems.push(problem) });
      expect(problems).toEqual([expect.stringMatching(/^the graph in \/.* is damaged and will be rebuilt: .*$/)]);
      expect(await contentsOf(folder)).toEqual(whole);
      // Not rewritten in place: a server may have mapped the old file.
      expect((await stat(`${graphPath}.data`)).ino).not.toBe((await served.stat()).ino);
      expect(await graphsIn(cache)).toHaveLength(1);
      await openModel(mini, cache, { onDamage: (problem) => problems.push(problem) });
      expect(problems).toHaveLength(1);
    });
  });

  test('remembers the digests of a new graph', async () => {
    const cache = await temporaryFolder();
    const { graphPath } = await openModel(mini, cache);
    for (const file of [graphPath, `${graphPath}.data`]) {
      const sha256 = createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
      expect(await rememberedContent(file, cache)).toEqual({ bytes: (await stat(file)).size, sha256 });
    }
  });

  test('works without remembered digests', async () => {
    const cache = await temporaryFolder();
    await writeFile(path.join(cache, 'digests'), 'in the way');
    const { graphPath } = await openModel(mini, cache);
    const { ino } = await stat(graphPath);
    await openModel(mini, cache);
    expect((await stat(graphPath)).ino).toBe(ino);
  });

  test.skipIf(process.platform === 'win32')('makes the files of a graph read-only', async () => {
    const { graphPath } = await openModel(mini, await temporaryFolder());
    for (const file of await readdir(path.dirname(graphPath))) {
      const { mode } = await stat(path.join(path.dirname(graphPath), file));
      expect([file, mode & 0o777]).toEqual([file, 0o444]);
    }
  });

  test('reports the progress of hashing weights, and hashes them once', async () => {
    const cache = await temporaryFolder();
    const folder = await copyOf(path.join(variants, 'bf16-sharded'), [
      'config.json',
      'model.safetensors.index.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
    ]);
    await atRest(folder);
    const calls: [done: number, total: number][] = [];
    const onHashing = (done: number, total: number) => calls.push([done, total]);
    await openModel(folder, cache, { onHashing });
    const shards = ['00001', '00002'].map((n) => stat(path.join(folder, `model-${n}-of-00002.safetensors`)));
    const [first = 0, second = 0] = (await Promise.all(shards)).map(({ size }) => size);
    const total = first + second;
    expect(calls).toEqual([
      [first, total],
      [total, total],
    ]);
    await openModel(folder, cache, { onHashing });
    expect(calls).toHaveLength(2);
    await utimes(path.join(folder, 'model-00001-of-00002.safetensors'), longAgo, longAgo);
    await openModel(folder, cache, { onHashing });
    expect(calls.slice(2)).toEqual([
      [first, total],
      [total, total],
    ]);
  });

  test('notices changed weights of the same size and mtime', async () => {
    const cache = await temporaryFolder();
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    const file = path.join(folder, 'model.safetensors');
    await utimes(file, longAgo, longAgo);
    await atRest(folder);
    const before = (await openModel(folder, cache)).graphPath;
    const bytes = await readFile(file);
    bytes.writeFloatLE(0.5, bytes.length - 4);
    await writeFile(file, bytes);
    await utimes(file, longAgo, longAgo);
    expect((await openModel(folder, cache)).graphPath).not.toBe(before);
  });

  test('leaves nothing of a build that failed', async () => {
    const cache = await temporaryFolder();
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    await patchJson(path.join(folder, 'config.json'), { num_hidden_layers: 4 });
    await expect(openModel(folder, cache)).rejects.toThrow(ModelError);
    expect(await graphsIn(cache)).toEqual([]);
  });

  test('says what to do when it cannot be written', async () => {
    const file = path.join(await temporaryFolder(), 'file');
    await writeFile(file, '');
    await expect(openModel(mini, file)).rejects.toThrow(/cannot be built in .*choose another cache folder/);
  });

  test('holds the weights as they are in the folder', async () => {
    const { graphPath } = await openModel(mini, await temporaryFolder());
    const data = await readFile(`${graphPath}.data`);
    const source = await readFile(path.join(mini, 'model.safetensors'));
    const header = JSON.parse(source.toString('utf8', 8, 8 + Number(source.readBigUInt64LE())));
    const [start] = header['model.decoder.embed_tokens.weight'].data_offsets;
    const at = 8 + Number(source.readBigUInt64LE()) + start;
    expect(data.subarray(0, 4096)).toEqual(source.subarray(at, at + 4096));
  });
});
