import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { greedy, type RowSampling, type SamplingParams } from '../../../src/core/index.ts';
import { Sampler, type Undrawable } from '../../../src/sampling/index.ts';
import { neededWeight } from '../../../src/sampling/needed-weight.ts';
import { philox, uniform } from '../../../src/sampling/random.ts';
import { RankedTokens } from '../../../src/sampling/ranked-tokens.ts';
import { restrict } from '../../../src/sampling/restrict.ts';
import { type MeasuredRow, measured } from '../../../src/sampling/segments.ts';
import { TypicalTokens } from '../../../src/sampling/typical-p.ts';
import { maximaOf, onlyLeft, randomLogits, sumsOf, weighed } from '../../support/random-logits.ts';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

function rowOf(params: SamplingParams, changes: Partial<RowSampling> = {}): RowSampling {
  return { params, tokenIndex: 0, choices: [0], ...changes };
}

/** What a sampler draws from logits that are adjusted already. */
function draw(sampler: Sampler, logits: Float32Array, row: RowSampling): readonly number[] | Undrawable {
  return sampler.draw(weighed(logits, row.params.temperature || 1), row);
}

/** The tokens that a sampler draws. @throws {Error} there are none */
function idsOf(sampler: Sampler, logits: Float32Array, row: RowSampling): readonly number[] {
  const ids = draw(sampler, logits, row);
  if (typeof ids === 'string') throw new Error(ids);
  return ids;
}

/** The token that a sampler draws for one choice. */
function drawn(sampler: Sampler, logits: Float32Array, params: SamplingParams, tokenIndex = 0): number {
  return idsOf(sampler, logits, rowOf(params, { tokenIndex }))[0] ?? Number.NaN;
}

const hex = (words: readonly number[]) => words.map((word) => word.toString(16).padStart(8, '0'));

describe('random numbers', () => {
  // From kat_vectors in the Random123 distribution.
  test('match the known answers of Philox4x32-10', () => {
    expect(hex(philox([0, 0], [0, 0, 0, 0]))).toEqual(['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
    const ones = 0xffffffff;
    expect(hex(philox([ones, ones], [ones, ones, ones, ones]))).toEqual([
      '408f276d',
      '41c83b0e',
      'a20bc7c6',
      '6d5451fd',
    ]);
    const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const;
    expect(hex(philox([0xa4093822, 0x299f31d0], pi))).toEqual(['d16cfe09', '94fdcceb', '5001e420', '24126ea1']);
  });

  test('depend only on the seed, the token index and the choice, lie in [0, 1) and take any integer as a seed', () => {
    const seeds = [0, 1, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    const numbers = seeds.flatMap((seed) =>
      [0, 1, 2].flatMap((index) => [0, 1, 127].map((choice) => uniform(seed, index, choice))),
    );
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(uniform(42, 7, 3)).toBe(uniform(42, 7, 3));
  });

  test('of the first choice take their bits from the block (token index, 0, 0, 0)', () => {
    const [high = 0, low = 0] = philox([42, 0], [7, 0, 0, 0]);
    expect(uniform(42, 7, 0)).toBe(((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53);
  });
});

describe('no token can be drawn', () => {
  test.each([
    ['greedy, NaN', { temperature: 0 }, [nan, nan, nan], 'not finite'],
    ['greedy, one is NaN', { temperature: 0 }, [1, nan, 2], 'not finite'],
    ['greedy, infinite', { temperature: 0 }, [1, inf], 'not finite'],
    ['greedy, all masked', { temperature: 0 }, [-inf, -inf], 'all masked'],
    ['sampled, all masked', { temperature: 1 }, [-inf, -inf], 'all masked'],
    ['sampled, NaN', { temperature: 1 }, [nan, nan, nan], 'not finite'],
    ['sampled, one is NaN', { temperature: 1 }, [1, nan, 2], 'not finite'],
    ['sampled, some are infinite', { temperature: 1 }, [1, inf, inf], 'not finite'],
    ['top-k', { temperature: 1, topK: 2 }, [1, 3, nan], 'not finite'],
    ['top-p, all masked', { temperature: 1, topP: 0.5 }, [-inf], 'all masked'],
    ['typical-p, all masked', { temperature: 1, typicalP: 0.5 }, [-inf], 'all masked'],
  ])('%s', (_, params, logits, reason) => {
    const sampler = new Sampler(logits.length);
    expect(draw(sampler, Float32Array.from(logits), rowOf({ ...greedy, ...params }))).toBe(reason);
  });

  test('but the next row is drawn as usual', () => {
    const sampler = new Sampler(3);
    const row = rowOf({ ...greedy, temperature: 1, topP: 0.5 });
    expect(draw(sampler, Float32Array.of(nan, 1, 2), row)).toBe('not finite');
    expect(draw(sampler, Float32Array.of(-inf, 9, -inf), row)).toEqual([1]);
  });
});

describe('sampling', () => {
  const logits = Float32Array.from([0.5, 2, -1, 1, 2, Number.NEGATIVE_INFINITY]);
  const numDraws = 20_000;

  /** How often each token is drawn, by many choices of one row. */
  function frequencies(params: Partial<SamplingParams>): number[] {
    const choices = Array.from({ length: numDraws }, (_, choice) => choice);
    const ids = idsOf(new Sampler(logits.length), logits, rowOf({ ...greedy, temperature: 1, ...params }, { choices }));
    const counts = new Array<number>(logits.length).fill(0);
    for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
    return counts.map((count) => count / numDraws);
  }

  function softmax(temperature: number, keep: (id: number) => boolean = () => true): number[] {
    const weights = Array.from(logits, (logit, id) => (keep(id) ? Math.exp(logit / temperature) : 0));
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / total);
  }

  function expectClose(actual: readonly number[], expected: readonly number[]): void {
    for (const [id, share] of expected.entries()) {
      if (share === 0) expect(actual[id]).toBe(0);
      else expect(Math.abs((actual[id] ?? 0) - share)).toBeLessThan(0.015);
    }
  }

  test('at temperature 0 takes the likeliest token, and the first of equally likely ones', () => {
    expect(drawn(new Sampler(6), logits, greedy)).toBe(1);
    expect(drawn(new Sampler(6), logits, { ...greedy, temperature: 1e-9, seed: 5 }, 3)).toBe(1);
  });

  test.each([0.5, 1, 3])('at temperature %d follows the softmax', (temperature) => {
    expectClose(frequencies({ temperature }), softmax(temperature));
  });

  test('with top-k keeps the k likeliest tokens, and those that are as likely as the last of them', () => {
    expectClose(
      frequencies({ topK: 3 }),
      softmax(1, (id) => [1, 3, 4].includes(id)),
    );
    expectClose(frequencies({ topK: 1 }), [0, 0.5, 0, 0, 0.5, 0]);
    expectClose(frequencies({ topK: 1000 }), softmax(1));
  });

  test('with top-p keeps the likeliest tokens that together reach it', () => {
    // The two likeliest tokens have a probability of 0.38 each, the third 0.14.
    expectClose(
      frequencies({ topP: 0.7 }),
      softmax(1, (id) => [1, 4].includes(id)),
    );
    expectClose(
      frequencies({ topP: 0.8 }),
      softmax(1, (id) => [1, 3, 4].includes(id)),
    );
    expectClose(frequencies({ topP: 1e-6 }), [0, 1, 0, 0, 0, 0]);
  });

  test('with min-p keeps the tokens that are at least that share as likely as the likeliest', () => {
    // Relative to the likeliest: 1 twice, 0.37, 0.22 and 0.05.
    expectClose(
      frequencies({ minP: 0.3 }),
      softmax(1, (id) => [1, 3, 4].includes(id)),
    );
    expectClose(
      frequencies({ minP: 1 }),
      softmax(1, (id) => [1, 4].includes(id)),
    );
  });

  test('with typical-p keeps the tokens whose information is closest to the entropy', () => {
    // Entropy 1.29; information 0.97 twice, 1.97, 2.47 and 3.97: the two likeliest are the most typical.
    expectClose(
      frequencies({ typicalP: 0.5 }),
      softmax(1, (id) => [1, 4].includes(id)),
    );
    expectClose(
      frequencies({ typicalP: 0.8 }),
      softmax(1, (id) => [1, 3, 4].includes(id)),
    );
  });

  test('with typical-p may drop the likeliest token', () => {
    // One token of 0.4, and thirty of 0.02 each: entropy 2.7, information 0.9 and 3.9 — closer to the many.
    const many = Float32Array.from([Math.log(20), ...Array<number>(30).fill(0)]);
    const params = { ...greedy, temperature: 1, typicalP: 0.3 };
    const tokens = Array.from({ length: 200 }, (_, seed) => drawn(new Sampler(31), many, { ...params, seed }));
    expect(tokens).not.toContain(0);
  });

  test('with top-p counts the whole probability mass, including a long tail', () => {
    // One token of weight 1, ten of 0.05 and 50,000 that weigh 0.095 together: reaching 0.9 of 1.595 takes nine of the ten.
    const tailWeight = 0.095 / 50_000;
    const logs = [1, ...Array<number>(10).fill(0.05), ...Array<number>(50_000).fill(tailWeight)].map(Math.log);
    const choices = Array.from({ length: 300 }, (_, choice) => choice);
    const row = rowOf({ ...greedy, temperature: 1, topP: 0.9 }, { choices });
    const tokens = new Set(idsOf(new Sampler(logs.length), Float32Array.from(logs), row));
    expect(tokens).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });

  test('applies top-p to the tokens that top-k keeps', () => {
    expectClose(
      frequencies({ topK: 3, topP: 0.84 }),
      softmax(1, (id) => [1, 4].includes(id)),
    );
  });
});

test('several choices of a row draw what each of them would draw alone', () => {
  const logits = randomLogits({ seed: 3, vocabSize: 5000, scale: 1, quantum: 0.25, masked: 0.1 });
  const sampler = new Sampler(logits.length);
  for (const changes of [{}, { topP: 0.9 }, { topK: 50 }, { typicalP: 0.9 }, { temperature: 0 }]) {
    const params = { ...greedy, temperature: 1, seed: 11, ...changes };
    const choices = [0, 1, 2, 3, 20, 127];
    const together = draw(sampler, logits, rowOf(params, { choices, tokenIndex: 5 }));
    const alone = choices.flatMap((choice) =>
      idsOf(sampler, logits, rowOf(params, { choices: [choice], tokenIndex: 5 })),
    );
    expect(together).toEqual(alone);
    expect(new Set(alone).size).toBe(params.temperature === 0 ? 1 : choices.length);
  }
});

/** The ids that top-k, top-p and min-p leave. @param least weight of the tokens that are ranked */
function keptOf(row: MeasuredRow, params: SamplingParams, least = 0): Uint32Array {
  const tokens = new RankedTokens(row.weights.length);
  tokens.load(row, least);
  return tokens.ids(restrict(tokens, params)).slice();
}

test('top-p is exact if the weights do not add up to 1, as those of large vocabularies', () => {
  const heavy = Array<number>(32).fill(0.9905 / 32);
  const light = Array<number>(3168).fill(0.0195 / 3168);
  const weights = Float32Array.from([...heavy, ...light]);
  const logits = weights.map(Math.log);
  const row = measured({ logits, weights, sums: sumsOf(weights), maxima: maximaOf(weights) });
  const params = { ...greedy, temperature: 1, topP: 0.985 };
  const kept = keptOf(row, params, neededWeight(row, params));
  expect(kept).toEqual(keptOf(row, params));
  expect(kept.length).toBeGreaterThan(heavy.length);
});

test('draws come from the kept tokens only, whatever the parameters, ties and masks', () => {
  const shape = fc.record({
    seed: fc.nat(),
    vocabSize: fc.integer({ min: 1, max: 3000 }),
    scale: fc.constantFrom(0.1, 1, 4, 30),
    quantum: fc.constantFrom(0, 0.25, 2),
    masked: fc.constantFrom(0, 0.5),
  });
  const parameters = fc.record({
    temperature: fc.constantFrom(0.05, 1, 50),
    topK: fc.constantFrom(0, 0, 1, 30, 5000),
    topP: fc.constantFrom(1, 1e-6, 0.3, 0.9, 0.999),
    minP: fc.constantFrom(0, 0, 0.01, 0.7, 1),
    typicalP: fc.constantFrom(1, 1, 0.2, 0.95),
  });
  fc.assert(
    fc.property(shape, parameters, fc.integer(), (random, changes, seed) => {
      const logits = randomLogits(random);
      const row = weighed(logits, changes.temperature);
      const { weights } = row;
      const params = { ...greedy, ...changes, seed };
      const sampler = new Sampler(logits.length);
      const choices = Array.from({ length: 40 }, (_, choice) => choice);
      const ids = sampler.draw(row, rowOf(params, { choices }));
      if (logits.every((logit) => logit === -inf)) {
        expect(ids).toBe('all masked');
        return;
      }
      const left = keptOf(row, params);
      // What is found from the segments must not change anything.
      expect(keptOf(row, params, neededWeight(row, params))).toEqual(left);
      const kept = new Set(
        params.typicalP < 1 ? new TypicalTokens(weights.length).of(onlyLeft(row, left), params) : left,
      );
      expect(kept.size).toBeGreaterThan(0);
      expect(Array.from(ids, Number).filter((id) => !kept.has(id) || weights[id] === 0)).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

test('drawing from the likeliest tokens gives the same token as drawing from all, or reports that it needs others', () => {
  const vocabSize = 200;
  let numAnswered = 0;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -400, max: 400 }), { minLength: vocabSize, maxLength: vocabSize }),
      fc.integer({ min: 1, max: vocabSize }),
      fc.record({
        temperature: fc.double({ min: 0.2, max: 3, noNaN: true }),
        topK: fc.constantFrom(0, 1, 5, 50, 150),
        topP: fc.constantFrom(0.1, 0.5, 0.9, 1),
        minP: fc.constantFrom(0, 0, 0.2),
        seed: fc.integer(),
      }),
      (hundredths, count, changes) => {
        fc.pre(changes.topK > 0 || changes.topP < 1 || changes.minP > 0);
        const logits = Float32Array.from(hundredths, (value) => value / 100);
        const params = { ...greedy, ...changes };
        const sampler = new Sampler(vocabSize);
        const row = rowOf(params, { tokenIndex: 3, choices: [0, 1] });
        const expected = draw(sampler, logits, row);
        const ids = Array.from(logits, (_, id) => id).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
        const max = logits[ids[0] ?? 0] ?? 0;
        const total = logits.reduce((sum, logit) => sum + Math.exp((logit - max) / params.temperature), 0);
        const likeliest = ids.slice(0, count);
        const candidates = {
          ids: BigInt64Array.from(likeliest, BigInt),
          logits: Float32Array.from(likeliest, (id) => logits[id] ?? 0),
          total,
        };
        const tokens = sampler.drawAmong(candidates, row);
        if (tokens !== undefined) numAnswered++;
        expect([undefined, expected]).toContainEqual(tokens);
        const isDistinct = logits[ids[params.topK - 1] ?? 0] !== logits[ids[count - 1] ?? 0];
        if (params.topK > 0 && params.topK < count && isDistinct) expect(tokens).toEqual(expected);
      },
    ),
    { numRuns: 500 },
  );
  expect(numAnswered).toBeGreaterThan(100);
});

test('a list of likeliest tokens with NaN is not drawn from', () => {
  const likeliest = { ids: BigInt64Array.of(1n, 0n), logits: Float32Array.of(nan, 1), total: nan };
  expect(new Sampler(2).drawAmong(likeliest, rowOf({ ...greedy, temperature: 1, topK: 1 }))).toBeUndefined();
});

describe('which logits a row needs', () => {
  const needs = (changes: Partial<SamplingParams>, row: Partial<RowSampling> = {}) =>
    new Sampler(1000).needs(rowOf({ ...greedy, ...changes }, row));

  test('the best one if it is greedy; few with top-k, top-p or min-p; otherwise all', () => {
    expect(needs({})).toBe('best');
    expect(needs({ temperature: 9e-6, topP: 0.5, typicalP: 0.5 })).toBe('best');
    expect(needs({ temperature: 1, topK: 5 })).toBe('few');
    expect(needs({ temperature: 1, topP: 0.9 })).toBe('few');
    expect(needs({ temperature: 1, minP: 0.1 })).toBe('few');
    expect(needs({ temperature: 1, topK: 512 })).toBe('all');
    expect(needs({ temperature: 1, topK: 5, typicalP: 0.5 })).toBe('all');
    expect(needs({ temperature: 1 })).toBe('all');
  });

  test.each([
    ['a repetition penalty', { repetitionPenalty: 1.1 }, {}],
    ['a presence penalty', { presencePenalty: 1 }, {}],
    ['a frequency penalty', { frequencyPenalty: -1 }, {}],
    ['a logit bias', { logitBias: [[1, 2]] }, {}],
    ['allowed tokens', { allowedTokenIds: [1] }, {}],
    ['banned tokens', {}, { bannedTokenIds: [1] }],
  ] as const)('all with %s', (_, changes, row) => {
    expect(needs(changes, row)).toBe('all');
    expect(needs({ ...changes, temperature: 1, topK: 5 }, row)).toBe('all');
  });
});
