import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bestProductsMs, ConcatenatedRun } from '../bench/index.ts';
import { type CommandLine, flagOf, type Settings } from '../config/index.ts';
import { greedy, type Precision, type StepRow } from '../core/index.ts';
import { OrtModelRunner, type SessionOptions } from '../engine/index.ts';
import { openDevice } from '../library/index.ts';
import { exportModel, type ModelConfig, readModelConfig, readParameters } from '../model/index.ts';
import { embeddedModelFolder } from '../store/index.ts';
import { locate, openByName } from './open-model.ts';

const maxBatchSize = 50;
const contextTokens = 64;
const numRuns = 15;
const decodeRows = [1, 8, 32, 50];
const prefills = [
  { numPrompts: 1, promptTokens: 16 },
  { numPrompts: 1, promptTokens: 64 },
  { numPrompts: 1, promptTokens: 512 },
  { numPrompts: 8, promptTokens: 16 },
];

/** One line of the table. */
interface Measured {
  readonly precision: string;
  readonly step: string;
  readonly ms: number;
  readonly numTokens: number;
  /** Operations of the layers' products, attention and the head, without padding. */
  readonly usefulFlops: number;
}

/** Steps to time. Each function returns one that runs the step. */
interface Steps {
  /** Fills the cache first, since pages that were never written cost nothing to read. */
  decode(numRows: number, numKeys: number): Promise<() => Promise<unknown>>;
  prefill(numPrompts: number, promptTokens: number): () => Promise<unknown>;
}

type BenchSettings = Pick<Settings, 'cacheDir' | 'revision'>;

/**
 * `weft bench engine`: the times of steps without a server, in every precision and with onnxruntime-node's own `run`, compared with the
 * speed of the matrix products alone.
 */
export async function benchEngine({ settings, operands }: CommandLine): Promise<void> {
  const [name = embeddedModelFolder] = operands;
  const { device, description, precisions, session } = openDevice(settings, flagOf);
  const lines: Measured[] = [];
  const { config, folder } = await describe(name, settings);
  for (const precision of precisions) {
    lines.push(...(await benchPrecision(name, settings, { precision, session, config })));
  }
  if (device.kind !== 'cpu') return print(lines, footnote(config, description));
  // Models whose heads share keys and values cannot be exported.
  if (config.numKvHeads === config.numHeads) lines.push(...(await benchConcatenated(folder, config, session)));
  const peak = await peakGflops(config, session);
  const best = `The products of a float32 step of ${maxBatchSize} rows alone, at their best: ${peak.toFixed(0)} GFLOPS.`;
  print(lines, `${footnote(config, description)} ${best}`, peak);
}

async function describe(name: string, settings: BenchSettings): Promise<{ config: BenchConfig; folder: string }> {
  const { folder } = await locate(name, settings);
  const config = await readModelConfig(folder);
  const parameters = await readParameters(folder);
  // Parameters are listed in the order of their use. A tied head uses the table of the embeddings, which comes first.
  const last = parameters.at(-1);
  const head = last?.kind === 'linear' && last.shape[0] === config.vocabSize ? last : parameters[0];
  const layers = parameters.filter((parameter) => parameter.kind === 'linear' && parameter !== head);
  return { folder, config: { ...config, layers: layers.map(productOf), head: productOf(head) } };
}

/** The `[to, from]` of a weight. */
type Product = readonly [to: number, from: number];

/** A network with the products of all its layers and of its head. */
interface BenchConfig extends ModelConfig {
  readonly layers: readonly Product[];
  readonly head: Product;
}

function productOf(parameter: { readonly shape: readonly number[] } | undefined): Product {
  const [to = 0, from = 0] = parameter?.shape ?? [];
  return [to, from];
}

async function benchPrecision(
  name: string,
  settings: BenchSettings,
  { precision, session, config }: { precision: Precision; session: SessionOptions; config: BenchConfig },
): Promise<Measured[]> {
  const { model } = await openByName(name, settings, precision);
  const limits = { maxBatchSize, maxModelLen: maxModelLenOf(config), maxStepTokens: maxBatchSize + 512 };
  const runner = new OrtModelRunner({ model, limits, session });
  const run = (rows: readonly StepRow[]) => runner.run({ moves: [], rows });
  const prompts = (numRows: number, length: number) => slots(numRows, (slot) => promptRow(config, slot, length));
  try {
    return await measure(precision, config, {
      decode: async (numRows, numKeys) => {
        for (const prompt of prompts(numRows, numKeys)) await run([prompt]);
        const rows = slots(numRows, (slot) => decodingRow(slot, numKeys));
        return () => run(rows);
      },
      prefill: (numPrompts, promptTokens) => {
        const rows = prompts(numPrompts, promptTokens);
        return () => run(rows);
      },
    });
  } finally {
    runner.dispose();
  }
}

/** The same steps with onnxruntime-node's `run`, on an export as other programs use it. */
async function benchConcatenated(folder: string, config: BenchConfig, session: SessionOptions): Promise<Measured[]> {
  const exported = path.join(await mkdtemp(path.join(tmpdir(), 'weft-')), 'export');
  try {
    await exportModel(folder, exported);
    const runner = await ConcatenatedRun.load(path.join(exported, 'onnx', 'model.onnx'), config, session);
    try {
      return await measure('fp32, onnxruntime-node', config, {
        decode: async (numRows, numPast) => runner.step({ numRows, numTokens: 1, numPast }),
        prefill: (numRows, numTokens) => runner.step({ numRows, numTokens, numPast: 0 }),
      });
    } finally {
      await runner.release();
    }
  } finally {
    await rm(path.dirname(exported), { recursive: true, force: true });
  }
}

function maxModelLenOf({ maxPositions }: ModelConfig): number {
  return Math.min(1024, maxPositions);
}

async function measure(precision: string, config: BenchConfig, steps: Steps): Promise<Measured[]> {
  const maxModelLen = maxModelLenOf(config);
  const numKeys = Math.min(contextTokens, maxModelLen - 1);
  const lines: Measured[] = [];
  for (const numRows of decodeRows) {
    const ms = await medianMs(await steps.decode(numRows, numKeys));
    const usefulFlops = numRows * (tokenFlops(config, numKeys) + headFlops(config));
    lines.push({ precision, step: `decode ${numRows}`, ms, numTokens: numRows, usefulFlops });
  }
  for (const { numPrompts, promptTokens } of prefills) {
    if (promptTokens >= maxModelLen) continue;
    const ms = await medianMs(steps.prefill(numPrompts, promptTokens));
    const numTokens = numPrompts * promptTokens;
    const usefulFlops = numTokens * tokenFlops(config, promptTokens / 2) + numPrompts * headFlops(config);
    lines.push({ precision, step: `prefill ${numPrompts} x ${promptTokens}`, ms, numTokens, usefulFlops });
  }
  return lines;
}

function slots(numRows: number, rowOf: (slot: number) => StepRow): StepRow[] {
  return Array.from({ length: numRows }, (_, slot) => rowOf(slot));
}

function decodingRow(slot: number, numKeys: number): StepRow {
  return { slot, start: numKeys, tokenIds: [5], sample: { params: greedy, tokenIndex: 1, choices: [0] } };
}

function promptRow({ vocabSize }: ModelConfig, slot: number, promptTokens: number): StepRow {
  const tokenIds = Array.from({ length: promptTokens }, (_, i) => (slot * 131 + i * 17) % vocabSize);
  return { slot, start: 0, tokenIds, sample: { params: greedy, tokenIndex: 0, choices: [0] } };
}

async function medianMs(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < numRuns; i++) {
    const startedAt = performance.now();
    await run();
    times.push(performance.now() - startedAt);
  }
  return times.sort((a, b) => a - b)[numRuns >> 1] ?? 0;
}

function tokenFlops({ layers, numLayers, numHeads, headSize }: BenchConfig, keys: number): number {
  const products = layers.reduce((sum, [to, from]) => sum + 2 * to * from, 0);
  return products + numLayers * 4 * keys * numHeads * headSize;
}

function headFlops({ head: [to, from] }: BenchConfig): number {
  return 2 * to * from;
}

/** The speed of the products of a decode step of 50 rows alone. As in the step, every weight is read from memory. */
async function peakGflops({ layers, head }: BenchConfig, session: SessionOptions): Promise<number> {
  const products = [...layers, head];
  const flops = products.reduce((sum, [to, from]) => sum + 2 * maxBatchSize * to * from, 0);
  const shapes = products.map(([to, from]) => ({ rows: maxBatchSize, from, to }));
  return flops / (await bestProductsMs(shapes, session)) / 1e6;
}

function print(lines: readonly Measured[], note: string, peak?: number): void {
  process.stdout.write(`${table(lines, peak)}\n\n${note}\n`);
}

/** @param peak GFLOPS to compare the steps with */
function table(lines: readonly Measured[], peak: number | undefined): string {
  const rows = lines.map(({ precision, step, ms, numTokens, usefulFlops }) => {
    const gflops = usefulFlops / ms / 1e6;
    const share = peak === undefined ? [] : [`${((100 * gflops) / peak).toFixed(0)} %`];
    return [precision, step, ms.toFixed(2), ((1000 * numTokens) / ms).toFixed(0), gflops.toFixed(0), ...share];
  });
  const header = ['precision', 'step', 'ms', 'tokens/s', 'GFLOPS', ...(peak === undefined ? [] : ['of the products'])];
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function footnote(config: ModelConfig, where: string): string {
  const { numLayers, hiddenSize } = config;
  return `${numLayers} layers, ${hiddenSize} wide, vocabulary of ${config.vocabSize}; ${where}; decode with ${contextTokens} tokens of context; medians of ${numRuns}.`;
}
