/**
 * What sampling costs: steps of 50 greedy rows next to steps of 50 rows with temperature, top-p, penalties and log probabilities, and the
 * longest turn of the event loop.
 *
 *     node --import tsx bench/sampling.ts FOLDER [fp32|int8]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { greedy, type Precision, type RowSampling, type SamplingParams, type Step } from '../src/core/index.ts';
import { OrtModelRunner } from '../src/engine/index.ts';
import { openModel } from '../src/model/index.ts';

const numRows = 50;
const numSteps = 24;
const contextTokens = 64;

/** Random weights give flat distributions: top-p 0.9 keeps 38,000 tokens. At this temperature it keeps 200, as with trained weights. */
const steep = 0.12;

const penalties = { presencePenalty: 0.5, frequencyPenalty: 0.5 };

const kinds: Readonly<Record<string, Partial<RowSampling> & { readonly params: SamplingParams }>> = {
  greedy: { params: greedy },
  'greedy, 20 log probabilities': { params: greedy, numLogprobs: 20 },
  temperature: { params: { ...greedy, temperature: 1 } },
  'temperature, 5 log probabilities': { params: { ...greedy, temperature: 1 }, numLogprobs: 5 },
  'top-k 40': { params: { ...greedy, temperature: 1, topK: 40 } },
  'steep, top-p 0.9': { params: { ...greedy, temperature: steep, topP: 0.9 } },
  'steep, top-p, penalties, 5 log probabilities': {
    params: { ...greedy, ...penalties, temperature: steep, topP: 0.9 },
    numLogprobs: 5,
  },
  'flat, top-p 0.9': { params: { ...greedy, temperature: 1, topP: 0.9 } },
  'flat, top-p, penalties, 5 log probabilities': {
    params: { ...greedy, ...penalties, temperature: 1, topP: 0.9 },
    numLogprobs: 5,
  },
  'flat, everything, 20 log probabilities': {
    params: {
      ...greedy,
      ...penalties,
      temperature: 0.8,
      topK: 20_000,
      topP: 0.9,
      minP: 0.01,
      repetitionPenalty: 1.1,
    },
    numLogprobs: 20,
  },
  'flat, typical-p 0.9': { params: { ...greedy, temperature: 1, typicalP: 0.9 } },
};

const context = {
  promptTokenIds: Array.from({ length: 900 }, (_, i) => (i * 37) % 5000),
  outputTokenIds: Array.from({ length: 100 }, (_, i) => (i * 91) % 3000),
};

function decodeStep(kind: string, tokenIndex: number): Step {
  const rows = Array.from({ length: numRows }, (_, slot) => {
    const { params, ...others } = { ...kinds.greedy, ...kinds[kind] };
    const sample = { params: { ...greedy, ...params, seed: slot }, tokenIndex, choices: [0], context, ...others };
    return { slot, start: contextTokens + (tokenIndex % 8), tokenIds: [4 + slot], sample };
  });
  return { moves: [], rows };
}

const fill: Step = {
  moves: [],
  rows: Array.from({ length: numRows }, (_, slot) => ({
    slot,
    start: 0,
    tokenIds: Array.from({ length: contextTokens }, (_, i) => 4 + ((slot + i) % 500)),
    sample: undefined,
  })),
};

/** Measures steps of all kinds in turns. @returns the results of each kind */
async function measure<T>(runner: OrtModelRunner, run: (step: Step) => Promise<T>): Promise<Map<string, T[]>> {
  const results = new Map(Object.keys(kinds).map((kind) => [kind, [] as T[]]));
  await runner.run(fill);
  for (let i = 0; i < numSteps; i++) {
    for (const [kind, all] of results) all.push(await run(decodeStep(kind, i)));
  }
  return results;
}

async function timeMs(run: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await run();
  return performance.now() - before;
}

/** The longest turn of the event loop while something runs. */
async function longestTurnMs(run: () => Promise<unknown>): Promise<number> {
  let last = performance.now();
  let longest = 0;
  let isOver = false;
  const tick = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  await run();
  isOver = true;
  return longest;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

const { positionals } = parseArgs({ allowPositionals: true });
const [folder = '', precision = 'fp32'] = positionals;
const cache = await mkdtemp(path.join(tmpdir(), 'weft-'));
try {
  const model = await openModel(folder, cache, { precision: precision as Precision });
  const limits = { maxBatchSize: numRows, maxModelLen: 512, maxStepTokens: numRows * contextTokens + numRows };
  const withRunner = async <T>(threads: number, use: (runner: OrtModelRunner) => Promise<T>): Promise<T> => {
    const runner = new OrtModelRunner({ model, limits, session: { threads, spinning: true } });
    try {
      return await use(runner);
    } finally {
      runner.dispose();
    }
  };
  const cores = availableParallelism();
  const steps = await withRunner(cores, (runner) => measure(runner, (step) => timeMs(() => runner.run(step))));
  // A core is left to the event loop. Otherwise its turns would count the time that it waits for one.
  const turns = await withRunner(Math.max(1, cores - 1), (runner) =>
    measure(runner, (step) => longestTurnMs(() => runner.run(step))),
  );
  const greedyMs = median(steps.get('greedy') ?? []);
  for (const [kind, all] of steps) {
    const ms = median(all);
    // The first steps compile the code.
    const longest = (turns.get(kind) ?? []).slice(4).toSorted((a, b) => a - b);
    console.log(
      `${kind.padEnd(45)} ${ms.toFixed(1)} ms, ${(ms / greedyMs).toFixed(2)} x greedy; longest turn of a step: median ${median(longest).toFixed(1)}, at most ${longest.at(-1)?.toFixed(1)} ms`,
    );
  }
} finally {
  await rm(cache, { recursive: true });
}
