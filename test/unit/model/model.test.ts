import { copyFile, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../../src/core/index.ts';
import { numParameters, openModel, parameterShapes, readOptConfig } from '../../../src/model/index.ts';
import { copyOf, embeddedModel, patchJson, reference, temporaryFolder, variants } from '../../support/fixtures.ts';
import { graphsIn, refusal } from '../../support/refusal.ts';
import { zipOf } from '../../support/zip.ts';

const mini = reference('opt-mini');

const whole = ['no-bias', 'no-norm-weights', 'no-final-norm', 'untied', 'gelu-projected'];

test.each([mini, reference('opt-mini-postln'), ...whole.map((name) => path.join(variants, name))])(
  'the parameters of %s are those in its file',
  async (folder) => {
    const bytes = await readFile(path.join(folder, 'model.safetensors'));
    const { __metadata__, ...header } = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE())));
    const written = Object.entries<{ shape: number[] }>(header).map(([name, { shape }]) => ({ name, shape }));
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect(parameterShapes(await readOptConfig(folder)).sort(byName)).toEqual(written.sort(byName));
  },
);

test('the embedded model has the parameters that its card states', async () => {
  const { config, name } = await openModel(embeddedModel, await temporaryFolder());
  expect(name).toBe('opt-stories');
  expect(numParameters(config)).toBe(3_358_080);
});

describe('a folder is refused, with what is wrong with it:', () => {
  test('it does not exist', async () => {
    expect(await refusal('/no/such/folder')).toBe('there is no model folder /no/such/folder');
  });

  test('it is a file', async () => {
    expect(await refusal(path.join(mini, 'config.json'))).toMatch(/is a file: give the folder/);
  });

  test('it is empty', async () => {
    expect(await refusal(await temporaryFolder())).toMatch(/has no config\.json/);
  });

  test('it has no weights', async () => {
    expect(await refusal(await copyOf(mini, ['config.json']))).toMatch(
      /has no weights: expected model\.safetensors or/,
    );
  });

  test.each([
    ['another architecture', { model_type: 'llama' }, /model_type "llama" is not supported, only "opt"/],
    [
      'a head size that attention cannot do',
      { num_attention_heads: 16 },
      /head size of 4; it has to be a multiple of 8/,
    ],
    ['a size that is none', { num_hidden_layers: 'three' }, /num_hidden_layers is "three", not a positive integer/],
    ['billions of layers', { num_hidden_layers: 1e10 }, /lack model\.decoder\.layers\.3/],
    [
      'an unknown activation',
      { activation_function: 'swish' },
      /activation_function "swish" is not supported, only relu/,
    ],
    [
      'more layers than the weights have',
      { num_hidden_layers: 4 },
      /lack model\.decoder\.layers\.3\..*, and config\.json asks for it/,
    ],
    [
      'another vocabulary than the weights',
      { vocab_size: 500 },
      /embed_tokens\.weight has the shape \[512,64\], and .* \[500,64\]/,
    ],
  ])('%s', async (_, changes, message) => {
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    await patchJson(path.join(folder, 'config.json'), changes);
    expect(await refusal(folder)).toMatch(message);
  });

  test('a config.json that is no JSON', async () => {
    const folder = await copyOf(mini, ['model.safetensors']);
    await writeFile(path.join(folder, 'config.json'), '{"model_type": "opt",');
    expect(await refusal(folder)).toMatch(/config\.json cannot be read as JSON/);
  });

  test.each([
    [4, /it has 4 bytes, too few for a header/],
    [200, /its header should take \d+ bytes and the file has 200/],
    [500_000, /it ends at byte 500000, inside tensor/],
  ])('safetensors that end at byte %i', async (length, message) => {
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    await truncate(path.join(folder, 'model.safetensors'), length);
    expect(await refusal(folder)).toMatch(message);
  });

  test('safetensors that are something else', async () => {
    const folder = await copyOf(mini, ['config.json']);
    await writeFile(path.join(folder, 'model.safetensors'), 'version https://git-lfs.github.com/spec/v1\n');
    expect(await refusal(folder)).toMatch(/model\.safetensors is broken: it is a Git LFS pointer/);
  });

  test('a tensor of a type that weights do not have: only where it is needed', async () => {
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    const file = path.join(folder, 'model.safetensors');
    const bytes = await readFile(file);
    const at = bytes.indexOf('"model.decoder.final_layer_norm.bias":{"dtype":"F32"');
    bytes.write('I32', at + '"model.decoder.final_layer_norm.bias":{"dtype":"'.length);
    await writeFile(file, bytes);
    expect(await refusal(folder)).toMatch(
      /lack model\.decoder\.final_layer_norm\.bias in float32, float16 or bfloat16/,
    );
  });

  test('a checkpoint that is truncated', async () => {
    const folder = await copyOf(mini, ['config.json', 'pytorch_model.bin']);
    await truncate(path.join(folder, 'pytorch_model.bin'), 100_000);
    expect(await refusal(folder)).toMatch(/cannot be read as a PyTorch checkpoint/);
  });

  test('a checkpoint that is something else', async () => {
    const folder = await copyOf(mini, ['config.json']);
    await writeFile(path.join(folder, 'pytorch_model.bin'), '\x80\x02\x8a\x0al\xfc\x9cF');
    expect(await refusal(folder)).toMatch(/it is no zip archive; a file of PyTorch before 1\.6 has to be saved anew/);
  });

  test('an index that names a file elsewhere', async () => {
    const folder = await copyOf(path.join(variants, 'bf16-sharded'), ['config.json', 'model.safetensors.index.json']);
    await patchJson(path.join(folder, 'model.safetensors.index.json'), { weight_map: { a: '../../etc/passwd' } });
    expect(await refusal(folder)).toMatch(/is said to be in "..\/..\/etc\/passwd", which is no file name/);
  });

  test('a shard that is missing', async () => {
    const files = ['config.json', 'model.safetensors.index.json', 'model-00001-of-00002.safetensors'];
    const folder = await copyOf(path.join(variants, 'bf16-sharded'), files);
    expect(await refusal(folder)).toMatch(/model-00002-of-00002\.safetensors cannot be read/);
  });
});

describe('a pickle', () => {
  async function folderWith(pickle: Buffer): Promise<string> {
    const folder = await copyOf(mini, ['config.json']);
    await writeFile(path.join(folder, 'pytorch_model.bin'), zipOf({ 'archive/data.pkl': pickle }));
    return folder;
  }

  test('that wants to run a command is refused, and runs nothing', async () => {
    const victim = path.join(await temporaryFolder(), 'executed');
    const command = Buffer.from(`touch ${victim}`);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(command.length);
    const evil = Buffer.concat([
      Buffer.from('\x80\x02cposix\nsystem\nX', 'latin1'),
      length,
      command,
      Buffer.from('\x85R.', 'latin1'),
    ]);
    expect(await refusal(await folderWith(evil))).toMatch(
      /asks for "posix\.system", which weights do not need; nothing of it was run/,
    );
    expect(await readdir(path.dirname(victim))).toEqual([]);
  });

  test('with compressed numbers is refused: they could be of any size', async () => {
    const folder = await copyOf(mini, ['config.json']);
    const file = path.join(folder, 'pytorch_model.bin');
    const bytes = await readFile(path.join(mini, 'pytorch_model.bin'));
    // The compression method in each entry of the central directory.
    for (let at = bytes.indexOf('PK\x01\x02'); at >= 0; at = bytes.indexOf('PK\x01\x02', at + 4)) {
      if (!bytes.subarray(at + 46, at + 80).includes('data.pkl')) bytes.writeUInt16LE(8, at + 10);
    }
    await writeFile(file, bytes);
    expect(await refusal(folder)).toMatch(/its data\/\d+ is missing or compressed/);
  });

  test.each([
    ['that ends in the middle', '\x80\x02}q', /ends in the middle/],
    ['that takes more than it gives', '\x80\x02s.', /takes more than it has given/],
    ['of opcodes that weights do not have', '\x80\x02\x81.', /opcode 0x81 is not supported/],
    ['that holds no dictionary', '\x80\x02K\x01.', /does not hold a dictionary/],
    ['that calls what it may only name', '\x80\x02ctorch\nHalfStorage\n)R.', /builds something that is not a tensor/],
  ])('%s is refused', async (_, pickle, message) => {
    expect(await refusal(await folderWith(Buffer.from(pickle, 'latin1')))).toMatch(message);
  });
});

describe('the graph cache', () => {
  test('gives the same graph again without building it', async () => {
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

  test('builds two at once without disturbing either', async () => {
    const cache = await temporaryFolder();
    const [a, b] = await Promise.all([openModel(mini, cache), openModel(mini, cache)]);
    expect(a.graphPath).toBe(b.graphPath);
    expect(await graphsIn(cache)).toHaveLength(1);
  });

  test.each(['model.onnx', 'model.onnx.data', 'sizes.json'])(
    'builds anew a graph whose %s was damaged or is gone',
    async (name) => {
      const cache = await temporaryFolder();
      const { graphPath } = await openModel(mini, cache);
      const file = path.join(path.dirname(graphPath), name);
      const whole = await readFile(file);
      for (const damage of [() => truncate(file, 10), () => rm(file)]) {
        await damage();
        await openModel(mini, cache);
        expect(whole.equals(await readFile(file))).toBe(true);
      }
      expect(await graphsIn(cache)).toHaveLength(1);
    },
  );

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
    await expect(openModel(mini, file)).rejects.toThrow(/cannot be built in .*choose another folder with --cache-dir/);
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
