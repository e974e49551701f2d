import { mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { exportModel, openModel, readParameters } from '../../../src/model/index.ts';
import { PytorchWeights } from '../../../src/model/weights/pytorch-bin.ts';
import { SafetensorsWeights } from '../../../src/model/weights/safetensors.ts';
import { copyOf, embeddedModel, patchJson, reference, temporaryFolder, variants } from '../../support/fixtures.ts';
import { oddFiles, sparseFile } from '../../support/odd-files.ts';
import { refusal } from '../../support/refusal.ts';
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
    const listed = (await readParameters(folder)).map(({ name, shape }) => ({ name, shape }));
    expect(listed.sort(byName)).toEqual(written.sort(byName));
  },
);

test('the embedded model has the parameters that its card states', async () => {
  const { config, name } = await openModel(embeddedModel, await temporaryFolder());
  expect(name).toBe('opt-stories');
  expect(config.numParameters).toBe(3_358_080);
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
    ['another architecture', { model_type: 'llama' }, /model_type "llama" is not supported; supported: opt$/],
    [
      'a head size that attention does not support',
      { num_attention_heads: 16 },
      /head size of 4; it must be a multiple of 8/,
    ],
    [
      'a size that is not a number',
      { num_hidden_layers: 'three' },
      /num_hidden_layers is "three", not a positive integer/,
    ],
    ['billions of layers', { num_hidden_layers: 1e10 }, /asks for 10000000000 layers; at most 10000 are supported/],
    [
      'an unknown activation',
      { activation_function: 'swish' },
      /activation_function "swish" is not supported, only relu/,
    ],
    [
      'more layers than the weights have',
      { num_hidden_layers: 4 },
      /config\.json requires model\.decoder\.layers\.3\..*, but the weights lack it/,
    ],
    [
      'another vocabulary than the weights',
      { vocab_size: 500 },
      /embed_tokens\.weight has the shape \[512,64\], but .* \[500,64\]/,
    ],
  ])('%s', async (_, changes, message) => {
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    await patchJson(path.join(folder, 'config.json'), changes);
    expect(await refusal(folder)).toMatch(message);
  });

  test('a config.json that is not JSON', async () => {
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

  test('safetensors with bytes after the last tensor', async () => {
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    const { length } = await readFile(path.join(folder, 'model.safetensors'));
    await truncate(path.join(folder, 'model.safetensors'), length + 1);
    expect(await refusal(folder)).toMatch(`its tensors end at byte ${length}, and it has ${length + 1} bytes`);
  });

  test('safetensors with a header of gigabytes', async () => {
    const file = path.join(await temporaryFolder(), 'model.safetensors');
    const headerBytes = 2 ** 31 + 100;
    const beginning = Buffer.alloc(8);
    beginning.writeBigUInt64LE(BigInt(headerBytes));
    await sparseFile(file, headerBytes + 100, beginning);
    await expect(SafetensorsWeights.open(file)).rejects.toThrow(
      `its header should take ${headerBytes} bytes, and the format allows 100000000`,
    );
  });

  test.each(['model.safetensors', 'pytorch_model.bin', 'model.onnx'])(
    '%s far larger than the network, without reading it',
    async (name) => {
      const folder = await copyOf(mini, ['config.json']);
      await sparseFile(path.join(folder, name), 2 ** 40);
      expect(await refusal(folder)).toMatch(
        /cannot be read: it has 1,100 GB, and the weights of this config\.json take 270 MB at most/,
      );
    },
  );

  test('safetensors that are something else', async () => {
    const folder = await copyOf(mini, ['config.json']);
    await writeFile(path.join(folder, 'model.safetensors'), 'version https://git-lfs.github.com/spec/v1\n');
    expect(await refusal(folder)).toMatch(/model\.safetensors is broken: it is a Git LFS pointer/);
  });

  test('a needed tensor of an unsupported type', async () => {
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    const file = path.join(folder, 'model.safetensors');
    const bytes = await readFile(file);
    const at = bytes.indexOf('"model.decoder.final_layer_norm.bias":{"dtype":"F32"');
    bytes.write('I32', at + '"model.decoder.final_layer_norm.bias":{"dtype":"'.length);
    await writeFile(file, bytes);
    expect(await refusal(folder)).toMatch(/config\.json requires model\.decoder\.final_layer_norm/);
  });

  test('a checkpoint that is truncated', async () => {
    const folder = await copyOf(mini, ['config.json', 'pytorch_model.bin']);
    await truncate(path.join(folder, 'pytorch_model.bin'), 100_000);
    expect(await refusal(folder)).toMatch(/cannot be read as a PyTorch checkpoint/);
  });

  test('a checkpoint that is something else', async () => {
    const folder = await copyOf(mini, ['config.json']);
    await writeFile(path.join(folder, 'pytorch_model.bin'), '\x80\x02\x8a\x0al\xfc\x9cF');
    expect(await refusal(folder)).toMatch(
      /it is not a zip archive; convert a file of PyTorch before 1\.6, and download any other again/,
    );
  });

  test('an index that names a file in another folder', async () => {
    const folder = await copyOf(path.join(variants, 'bf16-sharded'), ['config.json', 'model.safetensors.index.json']);
    await patchJson(path.join(folder, 'model.safetensors.index.json'), { weight_map: { a: '../../etc/passwd' } });
    expect(await refusal(folder)).toMatch(/is said to be in "..\/..\/etc\/passwd", which is not a file name/);
  });

  test('a folder that is a link to itself', async () => {
    const folder = path.join(await temporaryFolder(), 'model');
    await symlink(folder, folder);
    expect(await refusal(folder)).toMatch(/cannot be read: ELOOP/);
  });

  test('weights that are a link to themselves', async () => {
    const folder = await copyOf(mini, ['config.json']);
    await symlink('model.safetensors', path.join(folder, 'model.safetensors'));
    expect(await refusal(folder)).toMatch(/model\.safetensors cannot be read: ELOOP/);
  });

  test('a directory named like weights', async () => {
    const folder = await copyOf(mini, ['config.json']);
    await mkdir(path.join(folder, 'model.safetensors'));
    expect(await refusal(folder)).toMatch(/has no weights/);
  });

  test('a shard that is missing', async () => {
    const files = ['config.json', 'model.safetensors.index.json', 'model-00001-of-00002.safetensors'];
    const folder = await copyOf(path.join(variants, 'bf16-sharded'), files);
    expect(await refusal(folder)).toMatch(/model-00002-of-00002\.safetensors cannot be read/);
  });
});

describe.skipIf(process.platform === 'win32').each(oddFiles)('refuses %s', (kind, make) => {
  const linkTo = async (folder: string, name: string) => {
    const target = path.join(await temporaryFolder(), 'target');
    await make(target);
    await symlink(target, path.join(folder, name));
  };

  test.each(['model.safetensors', 'pytorch_model.bin', 'model.onnx'])('as %s', async (name) => {
    const folder = await copyOf(mini, ['config.json']);
    await linkTo(folder, name);
    expect(await refusal(folder)).toMatch(`${name} cannot be read: it is ${kind}, not a regular file`);
  });

  test('as a shard', async () => {
    const files = ['config.json', 'model.safetensors.index.json', 'model-00001-of-00002.safetensors'];
    const folder = await copyOf(path.join(variants, 'bf16-sharded'), files);
    await linkTo(folder, 'model-00002-of-00002.safetensors');
    expect(await refusal(folder)).toMatch(`00002.safetensors cannot be read: it is ${kind}, not a regular file`);
  });

  test('as external data', async () => {
    const folder = await copyOf(path.join(variants, 'onnx-external-fp16-projected'), [
      'config.json',
      'model_fp16.onnx',
    ]);
    await linkTo(folder, 'model_fp16.onnx_data');
    expect(await refusal(folder)).toMatch(`it is ${kind}, not a regular file`);
  });

  test('as tokenizer.json in an export', async () => {
    const folder = await copyOf(mini, ['config.json', 'model.safetensors']);
    await linkTo(folder, 'tokenizer.json');
    const to = path.join(await temporaryFolder(), 'export');
    await expect(exportModel(folder, to)).rejects.toThrow(`tokenizer.json cannot be read: it is ${kind}`);
    expect(await readdir(path.dirname(to))).toEqual([]);
  });
});

test('reads a view that starts inside a PyTorch storage', async () => {
  const file = path.join(await temporaryFolder(), 'pytorch_model.bin');
  // {"a": a view of shape [2, 2] with strides [1, 2] that begins at the third number of storage 0}
  const pickle = [
    '\x80\x02}',
    'X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n(',
    '(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x08tQ',
    'K\x02K\x02K\x02\x86K\x01K\x02\x86\x89ccollections\nOrderedDict\n)RtR',
    's.',
  ].join('');
  const storage = (length: number) => Buffer.from(Float32Array.from({ length }, (_, i) => i).buffer);
  const write = (length: number) =>
    writeFile(file, zipOf({ 'archive/data.pkl': Buffer.from(pickle, 'latin1'), 'archive/data/0': storage(length) }));
  await write(8);
  const weights = await PytorchWeights.open(file);
  expect(weights.info('a')).toEqual({ dtype: 'float32', shape: [2, 2] });
  expect([...(await weights.read('a'))]).toEqual([2, 4, 3, 5]);
  await weights.close();
  await write(5);
  const short = await PytorchWeights.open(file);
  await expect(short.read('a')).rejects.toThrow('tensor a cannot be read: its storage has 20 of 24 bytes');
  await short.close();
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

  test('in an archive with too many entries is refused before they are listed', async () => {
    const folder = await copyOf(mini, ['config.json']);
    const bytes = zipOf({ 'archive/data.pkl': Buffer.from('') });
    bytes.writeUInt16LE(60_000, bytes.indexOf('PK\x05\x06') + 10);
    await writeFile(path.join(folder, 'pytorch_model.bin'), bytes);
    expect(await refusal(folder)).toMatch(/it has 60000 entries, more than any model/);
  });

  test.each([
    ['that is truncated', '\x80\x02}q', /ends in the middle/],
    ['that takes more than it gives', '\x80\x02s.', /takes more than it has given/],
    ['of opcodes that weights do not have', '\x80\x02\x81.', /opcode 0x81 is not supported/],
    ['that does not hold a dictionary', '\x80\x02K\x01.', /does not hold a dictionary/],
    ['that calls what it may only name', '\x80\x02ctorch\nHalfStorage\n)R.', /builds something that is not a tensor/],
  ])('%s is refused', async (_, pickle, message) => {
    expect(await refusal(await folderWith(Buffer.from(pickle, 'latin1')))).toMatch(message);
  });
});
