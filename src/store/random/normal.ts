/**
 * Overwrites `values` with normally distributed numbers of mean 0 and deviation 1. Each two take two numbers from `random`.
 * Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
 */
export function fillNormal(values: Float32Array, random: () => number): void {
  for (let i = 0; i < values.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    values[i] = radius * Math.cos(angle);
    // Writing past the end, where the length is odd, does nothing.
    values[i + 1] = radius * Math.sin(angle);
  }
}

/**
 * A source of random numbers in [0, 1) with 32 bits each; the same seed and stream give the same numbers.
 * Sources: xoshiro128++, Blackman and Vigna, https://prng.di.unimi.it; seeded by splitmix32,
 * https://github.com/bryc/code/blob/master/jshash/PRNGs.md
 */
export function randomSource(seed: number, stream: number): () => number {
  let x = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca77)) | 0;
  const nextOfState = () => {
    x = (x + 0x9e3779b9) | 0;
    let z = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let s0 = nextOfState();
  let s1 = nextOfState();
  let s2 = nextOfState();
  let s3 = nextOfState();
  return () => {
    const sum = (s0 + s3) | 0;
    const result = (((sum << 7) | (sum >>> 25)) + s0) >>> 0;
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = (s3 << 11) | (s3 >>> 21);
    return result / 2 ** 32;
  };
}
