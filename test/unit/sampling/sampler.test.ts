import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { greedy, type SamplingParams } from '../../../src/core/index.ts';
import { type LogitsAdjuster, Sampler } from '../../../src/sampling/index.ts';
import { philox, uniform } from '../../../src/sampling/random.ts';

/** The id of the token that a sampler draws for these parameters. */
function drawn(sampler: Sampler, logits: Float32Array, params: SamplingParams, tokenIndex = 0): number | undefined {
  return sampler.sample(logits, { params, tokenIndex })?.id;
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

  test('depend only on the seed and the token index, lie in [0, 1) and take any integer as a seed', () => {
    const seeds = [0, 1, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    const numbers = seeds.flatMap((seed) => [0, 1, 2].map((index) => uniform(seed, index)));
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(uniform(42, 7)).toBe(uniform(42, 7));
  });
});

describe('NaN or infinite logits give no token', () => {
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

  test.each([
    ['greedy', { temperature: 0 }, [nan, nan, nan]],
    ['greedy, only one token', { temperature: 0 }, [nan]],
    ['greedy, all masked', { temperature: 0 }, [-inf, -inf]],
    ['sampled, all masked', { temperature: 1 }, [-inf, -inf]],
    ['sampled', { temperature: 1 }, [nan, nan, nan]],
    ['sampled, one is NaN', { temperature: 1 }, [1, nan, 2]],
    ['sampled, some are infinite', { temperature: 1 }, [1, inf, inf]],
    ['top-k', { temperature: 1, topK: 2 }, [1, 3, nan]],
    ['top-p', { temperature: 1, topP: 0.5 }, [1, 3, nan]],
  ])('%s', (_, params, logits) => {
    const sampler = new Sampler(logits.length);
    expect(drawn(sampler, Float32Array.from(logits), { ...greedy, ...params })).toBeUndefined();
  });
});

describe('sampling', () => {
  const logits = Float32Array.from([0.5, 2, -1, 1, 2, Number.NEGATIVE_INFINITY]);
  const numDraws = 20_000;

  /** How often each token is drawn, with a different seed for each draw. */
  function frequencies(params: Partial<SamplingParams>): number[] {
    const sampler = new Sampler(logits.length);
    const counts = new Array<number>(logits.length).fill(0);
    for (let seed = 0; seed < numDraws; seed++) {
      const token = drawn(sampler, logits, { ...greedy, temperature: 1, ...params, seed }) ?? Number.NaN;
      counts[token] = (counts[token] ?? 0) + 1;
    }
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

  test('with top-k keeps the k likeliest tokens', () => {
    expectClose(
      frequencies({ topK: 3 }),
      softmax(1, (id) => [1, 3, 4].includes(id)),
    );
    expectClose(frequencies({ topK: 1 }), [0, 1, 0, 0, 0, 0]);
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

  test('keeps exactly the tokens that sorting would, with long tails and many ties', () => {
    const scale = fc.constantFrom(0.05, 1, 4);
    const row = fc.tuple(fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 3000 }), scale);
    const params = fc.record({ topK: fc.nat(50), topP: fc.double({ min: 0.01, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(row, params, ([integers, factor], { topK, topP }) => {
        const sampler = new Sampler(integers.length);
        const tail = Float32Array.from(integers, (integer) => (integer * factor) / 10);
        const weights = Array.from(tail, (logit) => Math.exp(logit - Math.max(...tail)));
        const sum = (ids: readonly number[]) => ids.reduce((total, id) => total + (weights[id] ?? 0), 0);
        const sorted = [...weights.keys()].sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
        const top = topK > 0 ? sorted.slice(0, topK) : sorted;
        const reaches = top.findIndex((_, i) => sum(top.slice(0, i + 1)) >= topP * sum(top));
        const kept = new Set(top.slice(0, (reaches < 0 ? top.length : reaches) + 1));
        for (let seed = 0; seed < 30; seed++) {
          expect(kept).toContain(drawn(sampler, tail, { ...greedy, temperature: 1, topK, topP, seed }));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('with top-p counts the whole probability mass, including a long tail', () => {
    // One token of weight 1, ten of 0.05 and 50,000 that weigh 0.095 together: reaching 0.9 of 1.595 takes nine of the ten.
    const tailWeight = 0.095 / 50_000;
    const logs = [1, ...Array<number>(10).fill(0.05), ...Array<number>(50_000).fill(tailWeight)].map(Math.log);
    const sampler = new Sampler(logs.length);
    const tokens = new Set<number | undefined>();
    for (let seed = 0; seed < 300; seed++) {
      tokens.add(drawn(sampler, Float32Array.from(logs), { ...greedy, temperature: 1, topP: 0.9, seed }));
    }
    expect(tokens).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });

  test('applies top-p to the tokens that top-k keeps', () => {
    expectClose(
      frequencies({ topK: 3, topP: 0.84 }),
      softmax(1, (id) => [1, 4].includes(id)),
    );
  });
});

test('sampling from the likeliest tokens draws the same token as sampling from all, or reports that it needs others', () => {
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
        seed: fc.integer(),
      }),
      (hundredths, count, changes) => {
        const logits = Float32Array.from(hundredths, (value) => value / 100);
        const params = { ...greedy, ...changes };
        const sampler = new Sampler(vocabSize);
        const expected = drawn(sampler, logits, params, 3);
        const ids = Array.from(logits, (_, id) => id).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
        const max = logits[ids[0] ?? 0] ?? 0;
        const total = logits.reduce((sum, logit) => sum + Math.exp((logit - max) / params.temperature), 0);
        const likeliest = ids.slice(0, count);
        const candidates = {
          ids: BigInt64Array.from(likeliest, BigInt),
          logits: Float32Array.from(likeliest, (id) => logits[id] ?? 0),
          total,
        };
        const token = sampler.sampleAmong(candidates, { params, tokenIndex: 3 })?.id;
        if (token !== undefined) numAnswered++;
        expect([undefined, expected]).toContain(token);
        const isDistinct = logits[ids[params.topK - 1] ?? 0] !== logits[ids[count - 1] ?? 0];
        if (params.topK > 0 && params.topK < count && isDistinct) expect(token).toBe(expected);
      },
    ),
    { numRuns: 500 },
  );
  expect(numAnswered).toBeGreaterThan(100);
});

describe('an adjuster', () => {
  /** Makes token 2 the likeliest in rows with seed 7. */
  const bias: LogitsAdjuster = {
    appliesTo: ({ params }) => params.seed === 7,
    adjust: (logits) => {
      logits[2] = 100;
    },
  };
  const sampler = new Sampler(4, { adjusters: [bias], restrictions: [] });
  const of = (changes: Partial<SamplingParams>) => ({ params: { ...greedy, ...changes }, tokenIndex: 0 });
  const logits = () => Float32Array.of(0, 3, 1, 2);

  test('changes the logits of the rows that it applies to, greedy or sampled', () => {
    expect(sampler.sample(logits(), of({ seed: 7 }))).toEqual({ id: 2 });
    expect(sampler.sample(logits(), of({ seed: 7, temperature: 1 }))).toEqual({ id: 2 });
    expect(sampler.sample(logits(), of({ seed: 8 }))).toEqual({ id: 1 });
  });

  test('makes the rows that it applies to need all of their logits, and other rows no more than without it', () => {
    const needs = (changes: Partial<SamplingParams>) => sampler.needs(of(changes));
    expect(needs({ seed: 7 })).toBe('all');
    expect(needs({ seed: 7, temperature: 1, topK: 5 })).toBe('all');
    expect(needs({ seed: 8 })).toBe('best');
    expect(needs({ seed: 8, temperature: 1, topK: 5 })).toBe('few');
    expect(needs({ seed: 8, temperature: 1, topP: 0.9 })).toBe('few');
    expect(needs({ seed: 8, temperature: 1, topK: 512 })).toBe('all');
    expect(needs({ seed: 8, temperature: 1 })).toBe('all');
  });
});
