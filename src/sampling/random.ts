const multiplierA = 0xd2511f53n;
const multiplierB = 0xcd9e8d57n;
const weylA = 0x9e3779b9;
const weylB = 0xbb67ae85;
const rounds = 10;

/**
 * Philox4x32-10, a counter-based generator: block `counter` of the stream of `key`, without any state.
 * Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; the generator of cuRAND and PyTorch.
 * @returns four 32-bit words
 */
export function philox(key: readonly [number, number], counter: readonly [number, number, number, number]): number[] {
  let [k0, k1] = key;
  let [c0, c1, c2, c3] = counter;
  for (let round = 0; round < rounds; round++) {
    const a = multiplierA * BigInt(c0);
    const b = multiplierB * BigInt(c2);
    [c0, c1, c2, c3] = [
      (Number(b >> 32n) ^ c1 ^ k0) >>> 0,
      Number(b & 0xffffffffn),
      (Number(a >> 32n) ^ c3 ^ k1) >>> 0,
      Number(a & 0xffffffffn),
    ];
    k0 = (k0 + weylA) >>> 0;
    k1 = (k1 + weylB) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * The random number in [0, 1), with 53 random bits, for a token.
 * @param tokenIndex among the tokens of its answer
 * @param choice the answer, of several to the same prompt
 */
export function uniform(seed: number, tokenIndex: number, choice: number): number {
  const key = BigInt.asUintN(64, BigInt(seed));
  const [high = 0, low = 0] = philox([Number(key & 0xffffffffn), Number(key >> 32n)], [tokenIndex, choice, 0, 0]);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}
