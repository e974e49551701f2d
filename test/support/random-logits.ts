import { type MeasuredRow, measured, segmentSize, type WeighedRow } from '../../src/sampling/segments.ts';

/** The generator mulberry32: numbers in [0, 1). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface LogitsShape {
  readonly seed: number;
  readonly vocabSize: number;
  readonly scale: number;
  /** If not 0, all logits are multiples of it. */
  readonly quantum: number;
  /** The share of tokens that have -Infinity. */
  readonly masked: number;
}

/** The same logits as `random_logits` in scripts/make_sampling.py: roughly normal. */
export function randomLogits({ seed, vocabSize, scale, quantum, masked }: LogitsShape): Float32Array {
  const next = generator(seed);
  return Float32Array.from({ length: vocabSize }, () => {
    const value = (next() + next() + next() + next() - 2) * scale;
    const logit = quantum > 0 ? Math.floor(value / quantum) * quantum : value;
    return next() < masked ? Number.NEGATIVE_INFINITY : logit;
  });
}

/** The softmax of logits, divided by the temperature. */
export function weightsOf(logits: Float32Array, temperature = 1): Float32Array {
  const scaled = logits.map((logit) => logit / Math.fround(temperature));
  const max = scaled.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(scaled, (logit) => Math.exp(logit - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  return Float32Array.from(weights, (weight) => weight / sum);
}

/** Logits as the sampler gets them. */
export function weighed(logits: Float32Array, temperature = 1): MeasuredRow {
  const weights = weightsOf(logits, temperature);
  return measured({ logits, weights, sums: sumsOf(weights), maxima: maximaOf(weights) });
}

/** The sum of each segment. */
export function sumsOf(values: Float32Array): Float32Array {
  return Float32Array.from(segmentsOf(values), (segment) => segment.reduce((sum, value) => sum + value, 0));
}

/** The largest value of each segment. */
export function maximaOf(values: Float32Array): Float32Array {
  return Float32Array.from(segmentsOf(values), (segment) => Math.max(...segment));
}

function segmentsOf(values: Float32Array): Float32Array[] {
  const first = Array.from({ length: Math.ceil(values.length / segmentSize) }, (_, segment) => segment * segmentSize);
  return first.map((id) => values.subarray(id, id + segmentSize));
}

/** The same row, with weights of 0 for tokens that are not left. */
export function onlyLeft(row: WeighedRow, left: Iterable<number>): WeighedRow {
  const ids = new Set(left);
  return { ...row, weights: row.weights.map((weight, id) => (ids.has(id) ? weight : 0)) };
}
