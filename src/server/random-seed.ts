import { randomInt } from 'node:crypto';

/** The seed of a request that has none. `randomInt` takes ranges below 2^48. */
export function randomSeed(): number {
  return randomInt(2 ** 47);
}
