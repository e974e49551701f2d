import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Device, TokenSampler } from '../../src/engine/index.ts';
import { greedy } from '../support/builders.ts';
import {
  generate,
  logitErrors,
  promptLogits,
  type RunnerSetup,
  relativeError,
  sequenceOf,
  withRunner,
} from '../support/conformance.ts';
import { expectedCases, type ModelCase, reference, temporaryFolder } from '../support/fixtures.ts';
import { needWebGpu } from '../support/tools.ts';

/** A GPU of NVIDIA where there is one: see bench/gpu.sh. */
const [kind, index = '0'] = (process.env.WEFT_TEST_DEVICE ?? 'webgpu').split(':');
const isCuda = kind === 'cuda';
const device: Device = isCuda ? { kind, index: Number(index) } : { kind: 'webgpu' };
const precision = isCuda ? 'fp16' : 'fp32';
const provider = isCuda ? 'CUDAExecutionProvider' : 'WebGpuExecutionProvider';
/** Of the root mean square of the logits. */
const maxError = isCuda ? 0.02 : 1e-5;

const maxBatchSize = 4;
/** Short enough for some prompts to come in chunks. */
const limits = { maxBatchSize, maxStepTokens: maxBatchSize + 31 };
const onDevice = { device, precision, limits } as const;
const folder = reference('opt-mini');
const cases = expectedCases<ModelCase>(folder);

describe(`in the memory of a device (${kind})`, () => {
  beforeEach((context) => {
    if (!isCuda) needWebGpu(context);
  });

  test('sequences that join, leave, move and come in chunks: the logits behind each token are those of the CPU, and nothing else leaves the device', async () => {
    const profiles = await temporaryFolder();
    const onCpu = await logitsAlongAnswers({});
    const found = await logitsAlongAnswers({ ...onDevice, profilePrefix: path.join(profiles, 'run') });
    expect(found.size).toBe(cases.reduce((sum, { greedy_token_ids: { length } }) => sum + length, 0));
    const errors = [...found].map(([place, logits]) => relativeError(logits, onCpu.get(place)));
    expect(Math.max(...errors)).toBeLessThan(maxError);
    const nodes = await executedNodes(profiles);
    expect(new Set(nodes.map((node) => node.provider))).toEqual(new Set([provider]));
    const operators = new Set(nodes.map(({ op_name: name }) => name));
    for (const name of ['GroupQueryAttention', 'ScatterND', 'ArgMax']) expect(operators).toContain(name);
    expect([...operators].filter((name) => name.startsWith('Memcpy'))).toEqual([]);
  });

  test('the logits behind a prompt are those of transformers', async () => {
    const logits = await promptLogits(folder, cases, onDevice);
    for (const [i, each] of cases.entries()) expect(logitErrors(logits[i], each).relative).toBeLessThan(maxError);
  });

  test.skipIf(isCuda)('the tokens are those of transformers', async () => {
    const tokens = await withRunner(folder, onDevice, (runner) =>
      generate(
        runner,
        cases.map((each) => sequenceOf(each)),
      ),
    );
    expect(tokens).toEqual(cases.map(({ greedy_token_ids: tokenIds }) => tokenIds));
  });

  test.skipIf(isCuda)('some rows greedy and some drawn, in one batch: as on the CPU', async () => {
    const drawn = (seed: number) => ({ ...greedy, temperature: 1.2, seed });
    const sequences = () =>
      cases.map((each, i) =>
        sequenceOf(each, [greedy, drawn(i), { ...drawn(i), topP: 0.9 }, { ...drawn(i), topK: 40 }][i % 4]),
      );
    const expected = await withRunner(folder, {}, (runner) => generate(runner, sequences()));
    expect(await withRunner(folder, onDevice, (runner) => generate(runner, sequences()))).toEqual(expected);
  });

  test.skipIf(isCuda)('what the device cannot compute is refused, rather than computed on the CPU', async () => {
    await expect(withRunner(folder, { ...onDevice, precision: 'int8-fast' }, async () => {})).rejects.toThrow(
      /^ONNX Runtime cannot load .*CPU EP/,
    );
  });
});

/** All sequences in one batch, each made to take the tokens of transformers. @returns the logits behind each, by case and place */
async function logitsAlongAnswers(setup: RunnerSetup): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  const sampler: TokenSampler = {
    sample: (logits, { seed }, place) => {
      found.set(`${seed} ${place}`, logits.slice());
      return cases[seed]?.greedy_token_ids[place] ?? 0;
    },
  };
  const sequences = cases.map((each, seed) => sequenceOf(each, { ...greedy, temperature: 1, seed }));
  await withRunner(folder, { ...setup, sampler }, (runner) => generate(runner, sequences));
  return found;
}

interface ProfiledNode {
  readonly provider: string;
  readonly op_name: string;
}

/** The nodes that ran, of all graphs, as ONNX Runtime profiled them. */
async function executedNodes(profiles: string): Promise<ProfiledNode[]> {
  const files = await readdir(profiles);
  expect(files.length).toBeGreaterThanOrEqual(4);
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
