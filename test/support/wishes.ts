import { seededRandom } from '../../src/load/index.ts';
import type { Wish } from './dialects.ts';

const openings = [
  'Once upon a time',
  'Tom',
  'The big red ball',
  'One day, a little girl named Sue',
  'It was',
  'A 🦊 and',
];

/** The ids of the bytes of some characters in the embedded model's vocabulary. No token has a whole character. */
const byteTokens: readonly (readonly number[])[] = [
  [176, 257, 103, 236], // 🦊
  [176, 257, 250, 226], // 😀
  [162, 228, 109], // €
];

/** Greedily, the strongest of these biases wins; the penalty takes it from a token that has occurred, so that the next one follows. */
function forced(bytes: readonly number[]): Partial<Wish> {
  const logitBias = Object.fromEntries(bytes.map((id, i) => [id, 100 - 24 * i]));
  return { logitBias, repetitionPenalty: 1e9, presencePenalty: 0, frequencyPenalty: 0 };
}

/** Reproducible wishes of all kinds; every third one has parameters that TGI knows. */
export function someWishes(count: number): Wish[] {
  const random = seededRandom(14);
  const between = (low: number, high: number) => low + (high - low) * random();
  const integer = (low: number, high: number) => Math.floor(between(low, high + 1));
  const pick = <T>(values: readonly [T, ...T[]]): T => values[integer(0, values.length - 1)] ?? values[0];
  const sometimes = <T>(value: T, otherwise: T): T => (random() < 0.4 ? value : otherwise);

  const simple = (): Wish => ({
    prompt: pick(openings as [string, ...string[]]),
    maxNewTokens: integer(1, 16),
    sampled: sometimes(undefined, { temperature: between(0.5, 1.5), seed: integer(0, 1e9) }),
    topK: 0,
    topP: 1,
    minP: 0,
    typicalP: 1,
    repetitionPenalty: sometimes(between(0.8, 1.5), 1),
    presencePenalty: 0,
    frequencyPenalty: sometimes(between(-1, 2), 0),
    logitBias: {},
    allowedTokenIds: undefined,
    stop: [],
    includeStop: true,
    ignoreEos: false,
    n: 1,
  });
  const restricted = (wish: Wish): Wish =>
    wish.sampled === undefined
      ? wish
      : {
          ...wish,
          topK: sometimes(integer(1, 50), 0),
          topP: sometimes(between(0.3, 1), 1),
          typicalP: sometimes(between(0.3, 1), 1),
        };
  const full = (wish: Wish): Wish => ({
    ...wish,
    minP: sometimes(between(0, 0.3), 0),
    presencePenalty: sometimes(between(-1, 2), 0),
    logitBias: sometimes({ [integer(4, 3000)]: between(-5, 20), 15: -100 }, {}),
    includeStop: sometimes(true, false),
    ignoreEos: sometimes(true, false),
    n: sometimes(integer(2, 4), 1),
  });
  const ofBytes = (wish: Wish): Wish => {
    const bytes = pick(byteTokens as [readonly number[], ...(readonly number[])[]]);
    return random() < 0.5
      ? { ...wish, sampled: undefined, ...forced(bytes) }
      : { ...wish, allowedTokenIds: [...byteTokens.flat(), 15] };
  };
  return Array.from({ length: count }, (_, i) => {
    const wish = restricted(simple());
    if (i % 3 === 0) return wish;
    return random() < 0.4 ? ofBytes(full(wish)) : full(wish);
  });
}

/** The same wish with a stop string out of the middle of a text that it gave. The string may begin and end inside tokens. */
export function stoppedIn(text: string, wish: Wish, place: number): Wish {
  const characters = [...text];
  const from = Math.floor(place * characters.length);
  const stop = characters.slice(from, from + 1 + (characters.length % 5)).join('');
  // A character that never became whole cannot be a stop string.
  return stop === '' || stop.includes('\ufffd') ? wish : { ...wish, stop: [stop, 'never said'] };
}
