import { greedy, type Precision, type RowSampling, type StepLimits } from '../../src/core/index.ts';
import { type Device, OrtModelRunner } from '../../src/engine/index.ts';
import { openModel } from '../../src/model/index.ts';
import type { TokenSampler } from '../../src/sampling/index.ts';
import { Scheduler, Sequence } from '../../src/scheduler/index.ts';
import { type ModelCase, temporaryFolder } from './fixtures.ts';

export interface RunnerSetup {
  readonly precision?: Precision | undefined;
  readonly sampler?: TokenSampler;
  readonly device?: Device;
  readonly threads?: number;
  readonly limits?: Partial<StepLimits>;
  readonly profilePrefix?: string;
  readonly blockTokens?: number;
}

/** Passes a runner of the model in a folder to `use`, then disposes it. It has four slots unless the limits say otherwise. */
export async function withRunner<Result>(
  folder: string,
  { precision = 'fp32', sampler, limits, blockTokens, threads = 2, ...options }: RunnerSetup,
  use: (runner: OrtModelRunner) => Promise<Result>,
): Promise<Result> {
  const model = await openModel(folder, await temporaryFolder(), { precision });
  const runner = new OrtModelRunner({
    model,
    limits: { maxBatchSize: 4, maxModelLen: model.config.maxPositions, maxStepTokens: 256, ...limits },
    session: { threads, spinning: false, ...options },
    ...(sampler && { sampler }),
    ...(blockTokens && { blockTokens }),
  });
  try {
    return await use(runner);
  } finally {
    runner.dispose();
  }
}

/** Generates all sequences in one batch. Before each step, `perStep` of them join it. @returns their tokens */
export async function generate(
  runner: OrtModelRunner,
  sequences: readonly Sequence[],
  perStep = 1,
): Promise<(readonly number[])[]> {
  const all = sequences.flatMap((sequence) => [sequence, ...sequence.forks]);
  const options = { batchTimeoutMs: 0, maxQueueSize: all.length };
  const scheduler = new Scheduler({ limits: runner.limits, ...options });
  const waiting = [...sequences];
  for (let now = 0; all.some(({ status }) => status !== 'finished'); now++) {
    for (const newcomer of waiting.splice(0, perStep)) scheduler.add(newcomer);
    const step = scheduler.schedule(now);
    if (step !== undefined) scheduler.update(await runner.run(step), now);
  }
  return sequences.map(({ outputTokenIds }) => outputTokenIds);
}

export function sequenceOf(
  { prompt_token_ids: promptTokenIds, greedy_token_ids: { length } }: ModelCase,
  sampling = greedy,
  maxNewTokens = length,
): Sequence {
  return new Sequence({ id: 'case', promptTokenIds, sampling, maxNewTokens, arrivedAtMs: 0 });
}

/** A sampler that gets all logits of every row and returns the token that `choose` picks. */
export function choosing(choose: (logits: Float32Array, sampling: RowSampling) => number): TokenSampler {
  return {
    needs: () => 'all',
    adjusts: () => false,
    adjust: () => {},
    draw: ({ logits }, sampling) => [choose(logits, sampling)],
    drawAmong: () => undefined,
  };
}

/** The logits after each prompt, each computed on its own. */
export async function promptLogits(
  folder: string,
  cases: readonly ModelCase[],
  setup: Omit<RunnerSetup, 'sampler'> = {},
): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  const sampler = choosing((logits) => {
    all.push(logits.slice());
    return 0;
  });
  await withRunner(folder, { ...setup, sampler }, async (runner) => {
    for (const { prompt_token_ids: promptTokenIds } of cases) {
      await generate(runner, [
        new Sequence({ id: '', promptTokenIds, sampling: greedy, maxNewTokens: 1, arrivedAtMs: 0 }),
      ]);
    }
  });
  return all;
}

/** The logits that transformers computes after the prompt. */
function expectedLogits({ last_prompt_logits_f32_base64: base64 }: ModelCase): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);
}

/** How far logits are from those of transformers: the largest difference, and the relative error. */
export function logitErrors(logits: Float32Array | undefined, modelCase: ModelCase): { max: number; relative: number } {
  const expected = expectedLogits(modelCase);
  const errors = expected.map((logit, id) => Math.abs(logit - (logits?.[id] ?? Number.NaN)));
  return { max: Math.max(...errors), relative: relativeError(logits, expected) };
}

/** The root mean square of the differences, relative to that of the expected logits. */
export function relativeError(logits: Float32Array | undefined, expected: Float32Array | undefined): number {
  if (expected === undefined) return Number.NaN;
  const differences = expected.map((logit, id) => logit - (logits?.[id] ?? Number.NaN));
  return Math.sqrt(meanSquare(differences) / meanSquare(expected));
}

function meanSquare(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
}
