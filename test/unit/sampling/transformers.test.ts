import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { greedy, type SamplingParams } from '../../../src/core/index.ts';
import { Sampler } from '../../../src/sampling/index.ts';
import { neededWeight } from '../../../src/sampling/needed-weight.ts';
import { RankedTokens } from '../../../src/sampling/ranked-tokens.ts';
import { restrict } from '../../../src/sampling/restrict.ts';
import type { MeasuredRow } from '../../../src/sampling/segments.ts';
import { TypicalTokens } from '../../../src/sampling/typical-p.ts';
import { type LogitsShape, onlyLeft, randomLogits, weighed } from '../../support/random-logits.ts';

interface SamplingCase extends LogitsShape, SamplingParams {
  readonly promptTokenIds: readonly number[];
  readonly outputTokenIds: readonly number[];
  readonly bannedTokenIds: readonly number[];
  readonly expected: {
    /** The tokens that are left, as bits; for a large vocabulary the SHA-256 of the bits. */
    readonly kept: string;
    readonly numKept: number;
    /** Finite logits that the processors change. */
    readonly adjusted: readonly (readonly [tokenId: number, logit: number])[];
  };
}

const defaults = {
  ...greedy,
  temperature: 1,
  vocabSize: 997,
  scale: 3,
  quantum: 0,
  masked: 0,
  promptTokenIds: [],
  outputTokenIds: [],
  bannedTokenIds: [],
};
const fixture = new URL('../../fixtures/sampling/expected.json', import.meta.url);
const changes: readonly Partial<SamplingCase>[] = JSON.parse(readFileSync(fixture, 'utf8'));

/** A weight below this counts as impossible; transformers may keep such a token, but it is never drawn. */
const leastWeight = 2 ** -126;

describe('what is left of random logits is what the logits processors of transformers leave', () => {
  test.each(changes.map((change, i) => [i, nameOf(change), change] as const))('%i: %s', (_, __, change) => {
    const { expected, ...sampling } = { ...defaults, ...change };
    if (expected === undefined) throw new Error('the case has no expected tokens');
    const { vocabSize, promptTokenIds, outputTokenIds, bannedTokenIds } = sampling;
    const logits = randomLogits(sampling);
    const context = { promptTokenIds, outputTokenIds };
    new Sampler(vocabSize).adjust(logits, { params: sampling, tokenIndex: 0, choices: [0], context, bannedTokenIds });
    for (const [id, logit] of expected.adjusted) expect(logits[id]).toBeCloseTo(logit, 5);
    const row = weighed(logits, sampling.temperature);
    const possible = (id: number) => (row.weights[id] ?? 0) >= leastWeight;
    const kept = keptOf(row, sampling);
    if (vocabSize > 1000) {
      expect(kept).toHaveLength(expected.numKept);
      expect(createHash('sha256').update(bitsOf(kept, vocabSize)).digest('hex')).toBe(expected.kept);
    } else {
      expect(kept.filter(possible)).toEqual(idsOf(Buffer.from(expected.kept, 'base64')).filter(possible));
    }
  });
});

function keptOf(row: MeasuredRow, params: SamplingParams): number[] {
  const tokens = new RankedTokens(row.weights.length);
  tokens.load(row, neededWeight(row, params));
  const left = tokens.ids(restrict(tokens, params));
  if (params.typicalP >= 1) return [...left];
  return [...new TypicalTokens(row.weights.length).of(onlyLeft(row, left), params)];
}

function bitsOf(ids: readonly number[], vocabSize: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(vocabSize / 8));
  for (const id of ids) bits[id >> 3] = (bits[id >> 3] ?? 0) | (1 << (id & 7));
  return bits;
}

function idsOf(bits: Uint8Array): number[] {
  return [...bits].flatMap((byte, i) => [0, 1, 2, 3, 4, 5, 6, 7].filter((j) => byte & (1 << j)).map((j) => 8 * i + j));
}

function nameOf({ expected, seed, ...change }: Partial<SamplingCase>): string {
  return JSON.stringify(change).slice(0, 100);
}
