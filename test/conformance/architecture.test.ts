import { copyFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { greedy } from '../../src/core/index.ts';
import { exportModel, findRemovable, openModel, registerArchitecture } from '../../src/model/index.ts';
import { Sequence } from '../../src/scheduler/index.ts';
import { ModelStore } from '../../src/store/index.ts';
import { generate, type RunnerSetup, withRunner } from '../support/conformance.ts';
import { copyOf, embeddedModel, patchJson, reference, temporaryFolder } from '../support/fixtures.ts';
import { randomModel } from '../support/random-opt.ts';
import { refusal } from '../support/refusal.ts';
import { needWebGpu } from '../support/tools.ts';
import { sizes, ToyReference, toy, toyConfig } from '../support/toy-architecture.ts';

beforeAll(() => registerArchitecture(toy));

const toyFolder = () => randomModel(toyConfig, 0.5);

const prompts = [[5], [17, 3, 90, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [44, 44]];
const numTokens = 12;

function sequenceOf(promptTokenIds: readonly number[]): Sequence {
  return new Sequence({ id: 'toy', promptTokenIds, sampling: greedy, maxNewTokens: numTokens, arrivedAtMs: 0 });
}

describe('an architecture that a test has registered', () => {
  const expectTokens = async (setup: RunnerSetup) => {
    const folder = await toyFolder();
    const network = await ToyReference.load(folder);
    const expected = prompts.map((prompt) => network.generate(prompt, numTokens));
    expect(new Set(expected.flat()).size).toBeGreaterThan(numTokens);
    await withRunner(folder, { limits: { maxStepTokens: 8 }, ...setup }, async (runner) => {
      expect(
        await generate(
          runner,
          prompts.map((prompt) => sequenceOf(prompt)),
        ),
      ).toEqual(expected);
    });
  };

  test.each(['fp32', 'fp16'] as const)('generates what its network computes, in %s', (precision) =>
    expectTokens({ precision }),
  );

  test('generates what its network computes, with the KV cache on a device', async (context) => {
    needWebGpu(context);
    await expectTokens({ device: { kind: 'webgpu' }, limits: { maxStepTokens: 12 } });
  });

  test.each(['int8', 'int8-fast'] as const)('runs in %s', async (precision) => {
    const folder = await toyFolder();
    await withRunner(folder, { precision }, async (runner) => {
      const [tokens] = await generate(runner, [sequenceOf([17, 3])]);
      expect(tokens).toHaveLength(numTokens);
      expect(tokens?.every((id) => id >= 0 && id < sizes.vocabSize)).toBe(true);
    });
  });

  test('is described by its sizes, its label and the number of its parameters', async () => {
    const folder = await toyFolder();
    const { config } = await openModel(folder, await temporaryFolder());
    expect(config).toEqual({ architecture: 'Toy', ...sizes, numParameters: 24_640 });
  });

  test('has graphs of its own in the cache, which are pruned like any other', async () => {
    const cache = await temporaryFolder();
    const folder = await toyFolder();
    const { graphPath } = await openModel(folder, cache);
    const graphFolder = path.dirname(graphPath);
    expect(path.basename(graphFolder)).toMatch(/^toy-[0-9a-f]{32}$/);
    const removable = async () => {
      const found = await findRemovable({ cacheDir: cache, modelFolders: [folder], buildFolders: [] });
      return found.map(({ path: each }) => each);
    };
    expect(await removable()).toEqual([]);
    await patchJson(path.join(folder, 'config.json'), { flavour: 'sour' });
    expect(await removable()).toContain(graphFolder);
  });

  test('gets random models in its published shapes', async () => {
    const hub = {
      cacheDir: await temporaryFolder(),
      endpoint: 'http://127.0.0.1:1',
      token: undefined,
      isOffline: true,
    };
    const store = new ModelStore({ folder: await temporaryFolder(), embeddedFolder: embeddedModel, hub });
    const { folder } = await store.makeRandom('toy-tiny', { seed: 1, onProgress: () => {} });
    expect((await readdir(folder)).sort()).toContain('model.safetensors');
    const { config } = await openModel(folder, await temporaryFolder());
    expect(config.architecture).toBe('Toy');
  });

  test('is not exported while its heads share keys and values', async () => {
    const to = path.join(await temporaryFolder(), 'exported');
    await expect(exportModel(await toyFolder(), to)).rejects.toThrow(
      'a model whose 4 heads share 2 key and value heads cannot be exported',
    );
  });

  test('is not confused with another one', async () => {
    const folder = await toyFolder();
    await copyFile(path.join(reference('opt-mini'), 'model.safetensors'), path.join(folder, 'model.safetensors'));
    expect(await refusal(folder)).toBe(
      'the weights are not those of Toy: there is no toy.words.weight or words.weight',
    );
  });
});

test('an unknown model_type is refused with the known ones', async () => {
  const folder = await copyOf(reference('opt-mini'), ['config.json', 'model.safetensors']);
  await patchJson(path.join(folder, 'config.json'), { model_type: 'mamba' });
  expect(await refusal(folder)).toMatch(/model_type "mamba" is not supported; supported: opt, toy$/);
});

test('a model_type is registered once', () => {
  expect(() => registerArchitecture(toy)).toThrow('the architecture toy is already registered');
});

test.each([
  ['heads that cannot share', { numKvHeads: 3 }, /4 heads cannot share 3 key and value heads evenly/],
  ['a head size that attention does not support', { headSize: 12 }, /a head size of 12; it must be a multiple of 8/],
  ['too many layers', { numLayers: 10_001 }, /asks for 10001 layers; at most 10000 are supported/],
])('a network with %s is refused', async (_, changes, message) => {
  const modelType = `odd-${Object.keys(changes)}`;
  registerArchitecture({
    ...toy,
    modelType,
    read: (config) => ({ ...toy.read(config), sizes: { ...sizes, ...changes } }),
  });
  const folder = await toyFolder();
  await patchJson(path.join(folder, 'config.json'), { model_type: modelType });
  expect(await refusal(folder)).toMatch(message);
});
