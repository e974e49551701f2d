/**
 * What sampling costs: steps of 50 greedy rows next to steps of 50 rows with temperature, top-p, penalties and log probabilities, and the
 * longest turn of the event loop.
 *
 *     node --import tsx bench/sampling.ts FOLDER [fp32|int8]
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { greedy, type Precision, type RowSampling, type SamplingParams, type Step } from '../src/core/index.ts';
import { OrtModelRunner } from '../src/engine/index.ts';
import { openModel } from '../src/model/index.ts';

const numRows = 50;
const numSteps = 24;
const contextTokens = 64;

const kinds: Readonly<Record<string, Partial<RowSampling> & { readonly params: SamplingParams }>> = {
  greedy: { params: greedy },
  temperature: { params: { ...greedy, temperature: 1 } },
  'top-k 40': { params: { ...greedy, temperature: 1, topK: 40 } },
  'top-p 0.9': { params: { ...greedy, temperature: 1, topP: 0.9 } },
  'everything, 20 log probabilities': {
    params: {
      ...greedy,
      temperature: 0.8,
      topK: 20_000,
      topP: 0.9,
      minP: 0.01,
      repetitionPenalty: 1.1,
      presencePenalty: 0.5,
      frequencyPenalty: 0.5,
    },
    numLogprobs: 20,
  },
  'top-p 0.9, penalties, 5 log probabilities': {
    params: { ...greedy, temperature: 0.8, topP: 0.9, presencePenalty: 0.5, frequencyPenalty: 0.5 },
    numLogprobs: 5,
  },
  'typical-p 0.9': { params: { ...greedy, temperature: 1, typicalP: 0.9 } },
  'greedy, 20 log probabilities': { params: greedy, numLogprobs: 20 },
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

/** Runs steps of all kinds in turns, and prints their times. Looking at the event loop slows steps down, so every other step is for that. */
async function measure(runner: OrtModelRunner): Promise<void> {
  const times = new Map(Object.keys(kinds).map((kind) => [kind, { steps: [] as number[], turns: [] as number[] }]));
  await runner.run(fill);
  for (let i = 0; i < numSteps; i++) {
    for (const [kind, { steps, turns }] of times) {
      const step = decodeStep(kind, i);
      if (i % 2 === 0) {
        const before = performance.now();
        await runner.run(step);
        steps.push(performance.now() - before);
      } else {
        turns.push(await longestTurnMs(() => runner.run(step)));
      }
    }
  }
  const greedyMs = median(times.get('greedy')?.steps ?? []);
  for (const [kind, { steps, turns }] of times) {
    const ms = median(steps);
    const turnMs = `${median(turns).toFixed(1)}, at most ${Math.max(...turns.slice(2)).toFixed(1)}`;
    console.log(
      `${kind.padEnd(45)} ${ms.toFixed(1)} ms, ${(ms / greedyMs).toFixed(2)} x greedy; turns of ${turnMs} ms`,
    );
  }
}

/** The time that this thread has run (ms). On a machine with as many busy threads as cores, it often waits for its turn. */
function threadMs(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

/** The longest turn of the event loop while something runs, in milliseconds that its thread has run. */
async function longestTurnMs(run: () => Promise<unknown>): Promise<number> {
  let last = threadMs();
  let longest = 0;
  let isOver = false;
  const tick = (): void => {
    const now = threadMs();
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
  const runner = new OrtModelRunner({ model, limits, session: { threads: 2, spinning: true } });
  await measure(runner);
  runner.dispose();
} finally {
  await rm(cache, { recursive: true });
}
