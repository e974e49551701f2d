import { availableParallelism } from 'node:os';
import { loadCommand } from '../config/index.ts';
import { type SamplingParams, Sequence, type StepRow } from '../core/index.ts';
import { bestProductMs, OrtModelRunner } from '../engine/index.ts';
import { type Model, type OptConfig, precisions } from '../model/index.ts';
import { openByName } from './local-models.ts';
import { embeddedModelFolder } from './package-info.ts';

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
const greedy: SamplingParams = { temperature: 0, topK: -1, topP: 1, seed: 0, ignoreEos: true };

/** One line of the table. */
interface Measured {
  readonly precision: string;
  readonly step: string;
  readonly ms: number;
  readonly numTokens: number;
  /** Of the layers' products, of attention and of the head; padding and repetition do not count. */
  readonly usefulFlops: number;
}

/** `weft bench engine`: what a step takes without a server around it, in every precision, beside what this machine's products can do. */
export async function benchEngine(args: readonly string[]): Promise<void> {
  const { settings, operands } = loadCommand(['cacheDir', 'revision', 'threads', 'spinning'], args, process.env);
  const session = { threads: settings.threads || availableParallelism(), spinning: settings.spinning === 'on' };
  const lines: Measured[] = [];
  let config: OptConfig | undefined;
  for (const precision of precisions) {
    const { model } = await openByName(operands[0] ?? embeddedModelFolder, { ...settings, precision });
    config = model.config;
    const maxModelLen = Math.min(1024, config.maxPositions);
    const limits = { maxBatchSize, maxModelLen, maxStepTokens: maxBatchSize + 512 };
    const runner = new OrtModelRunner({ model, limits, session });
    try {
      lines.push(...(await measure(model, runner)));
    } finally {
      runner.dispose();
    }
  }
  if (config === undefined) return;
  const peak = await peakGflops(config, session);
  process.stdout.write(`${table(lines, peak)}\n\n${footnote(config, session.threads, peak)}\n`);
}

async function measure({ config, precision }: Model, runner: OrtModelRunner): Promise<Measured[]> {
  const numKeys = Math.min(contextTokens, runner.limits.maxModelLen - 1);
  const lines: Measured[] = [];
  for (const numRows of decodeRows) {
    const rows = Array.from({ length: numRows }, (_, slot) => decodingRow(config, slot, numKeys));
    const ms = await medianMs(() => runner.run({ moves: [], rows }));
    const usefulFlops = numRows * (tokenFlops(config, numKeys) + headFlops(config));
    lines.push({ precision, step: `decode ${numRows}`, ms, numTokens: numRows, usefulFlops });
  }
  for (const { numPrompts, promptTokens } of prefills) {
    if (promptTokens >= runner.limits.maxModelLen) continue;
    const rows = Array.from({ length: numPrompts }, (_, slot) => promptRow(config, slot, promptTokens));
    const ms = await medianMs(() => runner.run({ moves: [], rows }));
    const numTokens = numPrompts * promptTokens;
    const usefulFlops = numTokens * tokenFlops(config, promptTokens / 2) + numPrompts * headFlops(config);
    lines.push({ precision, step: `prefill ${numPrompts} x ${promptTokens}`, ms, numTokens, usefulFlops });
  }
  return lines;
}

function decodingRow(config: OptConfig, slot: number, numKeys: number): StepRow {
  const { sequence } = promptRow(config, slot, numKeys);
  sequence.numComputedTokens = numKeys;
  sequence.outputTokenIds.push(5);
  return { sequence, slot, numNewTokens: 1 };
}

function promptRow({ vocabSize }: OptConfig, slot: number, promptTokens: number): StepRow {
  const promptTokenIds = Array.from({ length: promptTokens }, (_, i) => (slot * 131 + i * 17) % vocabSize);
  const sequence = new Sequence({
    id: `${slot}`,
    promptTokenIds,
    sampling: greedy,
    maxNewTokens: 1000,
    arrivedAtMs: 0,
  });
  return { sequence, slot, numNewTokens: promptTokens };
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

/** The products of one layer: `[to, from]` of their weights. */
function layerProducts({ hiddenSize, ffnDim }: OptConfig): readonly (readonly [to: number, from: number])[] {
  return [
    [3 * hiddenSize, hiddenSize],
    [hiddenSize, hiddenSize],
    [ffnDim, hiddenSize],
    [hiddenSize, ffnDim],
  ];
}

function tokenFlops(config: OptConfig, keys: number): number {
  const products = layerProducts(config).reduce((sum, [to, from]) => sum + 2 * to * from, 0);
  return config.numLayers * (products + 4 * keys * config.hiddenSize);
}

function headFlops({ vocabSize, wordEmbedDim }: OptConfig): number {
  return 2 * vocabSize * wordEmbedDim;
}

/** The rate of the products of a decode step of 50 rows, each as fast as it was ever seen, its weights at hand. */
async function peakGflops(
  config: OptConfig,
  session: { readonly threads: number; readonly spinning: boolean },
): Promise<number> {
  let flops = 0;
  let ms = 0;
  const products = [...layerProducts(config).map((shape) => ({ shape, times: config.numLayers }))];
  for (const { shape, times } of [...products, { shape: [config.vocabSize, config.wordEmbedDim] as const, times: 1 }]) {
    const [to, from] = shape;
    flops += times * 2 * maxBatchSize * to * from;
    ms += times * (await bestProductMs({ rows: maxBatchSize, from, to }, session));
  }
  return flops / ms / 1e6;
}

function table(lines: readonly Measured[], peak: number): string {
  const rows = lines.map(({ precision, step, ms, numTokens, usefulFlops }) => {
    const gflops = usefulFlops / ms / 1e6;
    const share = `${((100 * gflops) / peak).toFixed(0)} %`;
    return [precision, step, ms.toFixed(1), ((1000 * numTokens) / ms).toFixed(0), gflops.toFixed(0), share];
  });
  const header = ['precision', 'step', 'ms', 'tokens/s', 'GFLOPS', 'of the products'];
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function footnote(config: OptConfig, threads: number, peak: number): string {
  const { numLayers, hiddenSize } = config;
  return `${numLayers} layers, ${hiddenSize} wide, vocabulary of ${config.vocabSize}; ${threads} threads; decode with ${contextTokens} tokens of context; medians of ${numRuns}. The products of a float32 step of ${maxBatchSize} rows, each at its best: ${peak.toFixed(0)} GFLOPS.`;
}
