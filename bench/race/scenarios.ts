import { burstArrivals, type LoadRequest, poissonArrivals, seededRandom } from '../../src/load/index.ts';

/** An inclusive range of numbers of tokens. */
type Range = readonly [min: number, max: number];

type Arrivals =
  /** Each user sends its next request when the last one is answered. */
  | { readonly kind: 'closed'; readonly users: number }
  /** A Poisson process. */
  | { readonly kind: 'poisson'; readonly perSecond: number }
  | { readonly kind: 'burst'; readonly size: number; readonly everyMs: number };

/** A load, as data: the same seed sends the same requests. */
export interface Scenario {
  readonly name: string;
  readonly description: string;
  readonly arrivals: Arrivals;
  readonly promptTokens: Range;
  readonly newTokens: Range;
  /** The part of the prompt that all requests share. */
  readonly sharedPrefixTokens?: number;
  readonly seed: number;
}

export const scenarios = {
  seed: {
    name: 'seed',
    description: '40 users, prompts of 16 tokens, 10 new tokens',
    arrivals: { kind: 'closed', users: 40 },
    promptTokens: [16, 16],
    newTokens: [10, 10],
    seed: 1,
  },
  mixed: {
    name: 'mixed',
    description: '40 users, prompts of 16 to 256 tokens, 16 to 128 new tokens',
    arrivals: { kind: 'closed', users: 40 },
    promptTokens: [16, 256],
    newTokens: [16, 128],
    seed: 2,
  },
  long: {
    name: 'long',
    description: '40 users, prompts of 64 tokens, 16 to 128 new tokens',
    arrivals: { kind: 'closed', users: 40 },
    promptTokens: [64, 64],
    newTokens: [16, 128],
    seed: 3,
  },
  chat: {
    name: 'chat',
    description: '20 users, prompts that share 128 tokens and have 8 to 64 of their own, 16 to 64 new tokens',
    arrivals: { kind: 'closed', users: 20 },
    promptTokens: [136, 192],
    newTokens: [16, 64],
    sharedPrefixTokens: 128,
    seed: 4,
  },
  poisson: {
    name: 'poisson',
    description: 'Poisson arrivals, 15 a second, prompts of 16 to 64 tokens, 8 to 32 new tokens',
    arrivals: { kind: 'poisson', perSecond: 15 },
    promptTokens: [16, 64],
    newTokens: [8, 32],
    seed: 5,
  },
  burst: {
    name: 'burst',
    description: '30 requests at once, every second, prompts of 16 to 64 tokens, 8 to 32 new tokens',
    arrivals: { kind: 'burst', size: 30, everyMs: 1000 },
    promptTokens: [16, 64],
    newTokens: [8, 32],
    seed: 6,
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;

/** Ids that every OPT has, without the special tokens. */
const firstId = 4;
const endId = 3000;
const startOfText = 2;

/** The n-th request of a scenario. */
export function requestOf(scenario: Scenario, n: number): LoadRequest {
  const { seed, promptTokens, newTokens, sharedPrefixTokens = 0 } = scenario;
  const prefixRandom = seededRandom(seed);
  const random = seededRandom(seed * 1_000_003 + n * 7919 + 1);
  const idOf = (source: () => number) => firstId + Math.floor(source() * (endId - firstId));
  const length = within(promptTokens, random());
  const prompt = Array.from({ length }, (_, i) => {
    if (i === 0) return startOfText;
    return idOf(i < sharedPrefixTokens ? prefixRandom : random);
  });
  return { prompt, maxNewTokens: within(newTokens, random()) };
}

function within([min, max]: Range, share: number): number {
  return min + Math.floor(share * (max - min + 1));
}

/** When requests arrive (ms); undefined for closed-loop users. */
export function arrivalsOf({ arrivals, seed }: Scenario, durationMs: number): readonly number[] | undefined {
  switch (arrivals.kind) {
    case 'closed':
      return undefined;
    case 'poisson':
      return poissonArrivals(arrivals.perSecond, durationMs, seed);
    case 'burst':
      return burstArrivals(arrivals.size, arrivals.everyMs, durationMs);
  }
}
