/**
 * Static batching on Weft's own engine. A batch starts with 50 requests, or 100 ms after its oldest request arrived. It is computed until
 * its longest answer ends; only then does the next batch start.
 *
 *     node --import tsx bench/contestants/static-server.ts PORT FOLDER CACHE_FOLDER
 *
 * Prompts are padded to the longest and the padding is computed, in extra rows because Weft's engine does not pad.
 */
import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import Fastify from 'fastify';
import { greedy, ServingError, type StepRow } from '../../src/core/index.ts';
import { OrtModelRunner } from '../../src/engine/index.ts';
import { openModel } from '../../src/model/index.ts';
import { maxBatchSize } from '../race/contestants.ts';

const batchTimeoutMs = 100;
/** Per run, padding included. */
const maxPromptTokens = 2048;
const [port = '0', folder = '', cacheDir = ''] = process.argv.slice(2);

interface Body {
  readonly prompt: readonly number[];
  readonly max_new_tokens?: number;
}

interface Reply {
  readonly token_ids: readonly number[];
  readonly timings: Readonly<Record<string, number>>;
}

interface Waiting {
  readonly body: Body;
  readonly arrivedAtMs: number;
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

const model = await openModel(folder, cacheDir);
const limits = {
  // Twice the rows, for the padding.
  maxBatchSize: 2 * maxBatchSize,
  maxModelLen: model.config.maxPositions,
  maxStepTokens: 2 * maxBatchSize + maxPromptTokens,
};
const runner = new OrtModelRunner({ model, limits, session: { threads: availableParallelism(), spinning: true } });
const waiting: Waiting[] = [];
let isRunning = false;

async function runBatches(): Promise<void> {
  if (isRunning) return;
  isRunning = true;
  for (let oldest = waiting[0]; oldest !== undefined; oldest = waiting[0]) {
    while (waiting.length < maxBatchSize && performance.now() - oldest.arrivedAtMs < batchTimeoutMs)
      await setTimeout(1);
    const batch = waiting.splice(0, maxBatchSize);
    try {
      const startedAtMs = performance.now();
      const { tokens, prefilledAtMs } = await generate(batch.map(({ body }) => body));
      for (const [i, { arrivedAtMs, resolve }] of batch.entries()) {
        const timings = {
          queue_ms: startedAtMs - arrivedAtMs,
          prefill_ms: prefilledAtMs - startedAtMs,
          decode_ms: performance.now() - prefilledAtMs,
        };
        resolve({ token_ids: tokens[i] ?? [], timings });
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
  isRunning = false;
}

/** Computes every row until the longest ends and cuts off the surplus tokens. */
async function generate(bodies: readonly Body[]) {
  const lengths = bodies.map(({ max_new_tokens = 128 }) => max_new_tokens);
  const longest = Math.max(...lengths);
  const tokens: number[][] = bodies.map(() => []);
  const prompts = bodies.map(({ prompt }) => prompt);
  let prefilledAtMs = 0;
  for (let step = 0; step < longest; step++) {
    const rows = step === 0 ? [...prompts, ...paddingOf(prompts)].map(promptRow) : tokens.map(decodingRow(prompts));
    const results = await runner.run({ moves: [], rows });
    for (const [i, generated] of tokens.entries()) {
      const result = results[i];
      if (result instanceof ServingError) throw result;
      generated.push(result?.tokens[0]?.id ?? 0);
    }
    if (step === 0) prefilledAtMs = performance.now();
  }
  return { prefilledAtMs, tokens: tokens.map((generated, i) => generated.slice(0, lengths[i])) };
}

/** Prompts with as many tokens as padding all prompts to the longest would add. */
function paddingOf(prompts: readonly (readonly number[])[]): number[][] {
  const width = Math.max(...prompts.map(({ length }) => length));
  let numTokens = prompts.reduce((sum, { length }) => sum + width - length, 0);
  const padding: number[][] = [];
  for (; numTokens > 0; numTokens -= width) padding.push(new Array<number>(Math.min(width, numTokens)).fill(1));
  return padding;
}

function promptRow(tokenIds: readonly number[], slot: number): StepRow {
  return { slot, start: 0, tokenIds, sample: { params: greedy, tokenIndex: 0, choices: [0] } };
}

function decodingRow(prompts: readonly (readonly number[])[]) {
  return (generated: readonly number[], slot: number): StepRow => {
    const start = (prompts[slot]?.length ?? 0) + generated.length - 1;
    const sample = { params: greedy, tokenIndex: generated.length, choices: [0] };
    return { slot, start, tokenIds: generated.slice(-1), sample };
  };
}

const app = Fastify();
app.get('/readyz', () => ({}));
app.post<{ Body: Body }>('/generate', ({ body }) => {
  return new Promise<Reply>((resolve, reject) => {
    waiting.push({ body, arrivedAtMs: performance.now(), resolve, reject });
    void runBatches();
  });
});
await app.listen({ host: '127.0.0.1', port: Number(port) });
