import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { greedy, ServingError, type StepRow } from '../../src/core/index.ts';
import type { Device } from '../../src/engine/index.ts';
import { Sampler, type TokenSampler } from '../../src/sampling/index.ts';
import {
  choosing,
  generate,
  logitErrors,
  promptLogits,
  type RunnerSetup,
  relativeError,
  sequenceOf,
  withRunner,
} from '../support/conformance.ts';
import { embeddedModel, expectedCases, type ModelCase, reference, temporaryFolder } from '../support/fixtures.ts';
import { needWebGpu } from '../support/tools.ts';

/** `cuda:N` on a host with an NVIDIA GPU: see bench/gpu.sh. */
const chosen = process.env.WEFT_TEST_DEVICE ?? 'webgpu';
const [, kind, index = '0'] = /^(webgpu$|cuda)(?::(\d+))?$/.exec(chosen) ?? [];
if (kind === undefined) throw new Error(`WEFT_TEST_DEVICE is ${chosen}; it must be webgpu, cuda or cuda:N`);
const isCuda = kind === 'cuda';
const device: Device = isCuda ? { kind, index: Number(index) } : { kind: 'webgpu' };
const precision = isCuda ? 'fp16' : 'fp32';
const provider = isCuda ? 'CUDAExecutionProvider' : 'WebGpuExecutionProvider';
/** The largest relative error of the logits. */
const maxError = isCuda ? 0.02 : 1e-5;

const maxBatchSize = 6;
/** Some of the prompts take several steps; others share a step. */
const limits = { maxBatchSize, maxStepTokens: maxBatchSize + 22, maxModelLen: 72 };
const onDevice = { device, precision, limits } as const;
const folder = reference('opt-mini');
/** The longest prompt comes first, so that others arrive while its chunks are being prefilled. */
const cases = expectedCases<ModelCase>(folder).toReversed();
const greedyTokens = cases.map(({ greedy_token_ids: tokenIds }) => tokenIds);

describe(`on a device (${kind})`, () => {
  beforeEach((context) => {
    if (!isCuda) needWebGpu(context);
  });

  test.each([
    ['one by one', 1, undefined],
    ['all at once', cases.length, undefined],
    ['three at a time, with blocks of one token', 3, 1],
    ['three at a time, with blocks of sixteen', 3, 16],
  ])(
    'with sequences that arrive %s, the logits are those of the CPU and every node runs on the device',
    async (_, perStep, blockTokens) => {
      const profiles = await temporaryFolder();
      const onCpu = await forcedLogits({ limits }, 1);
      const setup = { ...onDevice, profilePrefix: path.join(profiles, 'run'), ...(blockTokens && { blockTokens }) };
      const found = await forcedLogits(setup, perStep);
      expect(found.size).toBe(greedyTokens.flat().length);
      const errors = [...found].map(([key, logits]) => relativeError(logits, onCpu.get(key)));
      expect(Math.max(...errors)).toBeLessThan(maxError);
      const nodes = await executedNodes(profiles);
      expect(new Set(nodes.map((node) => node.provider))).toEqual(new Set([provider]));
      const operators = new Set(nodes.map(({ op_name: name }) => name));
      for (const name of ['GroupQueryAttention', 'ScatterND', 'ArgMax']) expect(operators).toContain(name);
      expect([...operators].filter((name) => name.startsWith('Memcpy'))).toEqual([]);
    },
  );

  test('the logits after a prompt match transformers', async () => {
    const logits = await promptLogits(folder, cases, onDevice);
    for (const [i, each] of cases.entries()) expect(logitErrors(logits[i], each).relative).toBeLessThan(maxError);
  });

  test('greedy rows take the likeliest tokens, and on WebGPU the same as transformers', async () => {
    const greedySequences = () => cases.map((each) => sequenceOf(each));
    const tokens = await withRunner(folder, onDevice, (runner) => generate(runner, greedySequences(), 3));
    if (!isCuda) expect(tokens).toEqual(greedyTokens);
    // Only the first token of each: after it, half precision may diverge.
    const logits = await promptLogits(folder, cases, onDevice);
    expect(tokens.map(([first]) => first)).toEqual(logits.map((row) => row.indexOf(Math.max(...row))));
  });

  test('sampling from the likeliest tokens draws the same ones as sampling from all', async () => {
    const vocabularyOf3072 = embeddedModel;
    const drawn = { ...greedy, temperature: 1 };
    const sequences = () =>
      [
        { ...drawn, topK: 40 },
        { ...drawn, topK: 600 },
        { ...drawn, topP: 0.9 },
        { ...drawn, topP: 0.9999, temperature: 3 },
        { ...drawn, topK: 512, topP: 0.95, minP: 0.01 },
        drawn,
      ].map((sampling, i) => sequenceOf(cases.at(-1 - i) ?? someCase, { ...sampling, seed: i }, 4));
    const sampler = new Sampler(3072);
    const fromAll: TokenSampler = {
      needs: () => 'all',
      adjusts: (row) => sampler.adjusts(row),
      adjust: (...row) => sampler.adjust(...row),
      draw: (...row) => sampler.draw(...row),
      drawAmong: () => undefined,
    };
    const setup = { ...onDevice, limits: { ...limits, maxModelLen: 80 } };
    const expected = await withRunner(vocabularyOf3072, { ...setup, sampler: fromAll }, (runner) =>
      generate(runner, sequences(), 3),
    );
    expect(await withRunner(vocabularyOf3072, setup, (runner) => generate(runner, sequences(), 3))).toEqual(expected);
  });

  test.skipIf(isCuda)('a batch of greedy and sampled rows gets the same tokens as on the CPU', async () => {
    const drawn = (seed: number) => ({ ...greedy, temperature: 1.2, seed });
    const sequences = () =>
      cases.map((each, i) =>
        sequenceOf(each, [greedy, drawn(i), { ...drawn(i), topP: 0.9 }, { ...drawn(i), topK: 40 }][i % 4]),
      );
    const expected = await withRunner(folder, { limits }, (runner) => generate(runner, sequences(), 3));
    expect(await withRunner(folder, onDevice, (runner) => generate(runner, sequences(), 3))).toEqual(expected);
  });

  test('log probabilities of prompts and new tokens are those of the CPU, for rows of all kinds', async () => {
    const drawn = { ...greedy, temperature: 1 };
    const kinds = [greedy, { ...drawn, topK: 5 }, { ...drawn, repetitionPenalty: 1.1 }, { ...drawn, typicalP: 0.9 }];
    const rows = kinds.map((params, slot): StepRow => {
      // Longer than the batch: the logits of a scored prompt need more memory on the device.
      const tokenIds = someCase.prompt_token_ids.slice(0, 5 + slot);
      const sample = { params, tokenIndex: 0, choices: [0, 1], numLogprobs: 3 };
      return { slot, start: 0, tokenIds, sample, score: { tokenIds: tokenIds.slice(1), numLogprobs: 2 } };
    });
    const read = (setup: RunnerSetup) =>
      withRunner(folder, setup, async (runner) => {
        const results = [await runner.run({ moves: [], rows }), await runner.run({ moves: [], rows })];
        return results.flat().flatMap((result) => {
          if (result instanceof ServingError) throw result;
          // In half precision, another token may be drawn.
          const tokens = isCuda ? [] : result.tokens.map(({ logprobs }) => logprobs);
          return [...(result.scores ?? []), ...tokens].map((found) => found?.logprob);
        });
      });
    const [onCpu, found] = [await read({ limits }), await read(onDevice)];
    expect(found).toHaveLength(2 * (4 + 5 + 6 + 7 + (isCuda ? 0 : 8)));
    for (const [i, logprob] of found.entries()) {
      expect(Math.abs((logprob ?? Number.NaN) - (onCpu[i] ?? Number.NaN))).toBeLessThan(isCuda ? 0.2 : 1e-3);
    }
  });

  test.skipIf(isCuda)(
    'a model that the device cannot compute is refused instead of falling back to the CPU',
    async () => {
      await expect(withRunner(folder, { ...onDevice, precision: 'int8-fast' }, async () => {})).rejects.toThrow(
        /^ONNX Runtime cannot load .*CPU EP/,
      );
    },
  );
});

const [someCase] = cases as [ModelCase];

/** Runs all sequences, forcing the tokens of transformers. @returns the logits behind each token, by case and index */
async function forcedLogits(setup: RunnerSetup, perStep: number): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  const sampler = choosing((logits, { params: { seed }, tokenIndex }) => {
    found.set(`${seed} ${tokenIndex}`, logits.slice());
    return greedyTokens[seed]?.[tokenIndex] ?? 0;
  });
  const sequences = cases.map((each, seed) => sequenceOf(each, { ...greedy, seed }));
  await withRunner(folder, { ...setup, sampler }, (runner) => generate(runner, sequences, perStep));
  return found;
}

interface ProfiledNode {
  readonly provider: string;
  readonly op_name: string;
}

/** The nodes that ran in all graphs, from ONNX Runtime's profiles. */
async function executedNodes(profiles: string): Promise<ProfiledNode[]> {
  const files = await readdir(profiles);
  // One each for the model, three copiers, the zeros, the candidates and the rows.
  expect(files).toHaveLength(7);
  const all = await Promise.all(
    files.map(async (file) => JSON.parse(await readFile(path.join(profiles, file), 'utf8'))),
  );
  const events: { readonly cat: string; readonly args?: Partial<ProfiledNode> }[] = all.flat();
  return events.flatMap(({ cat, args }) =>
    cat === 'Node' && args?.provider !== undefined && args.op_name !== undefined
      ? [{ provider: args.provider, op_name: args.op_name }]
      : [],
  );
}
