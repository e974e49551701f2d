import FlatQueue from 'flatqueue';
import type { Work } from './work.ts';

/**
 * Byte-pair encoding of a single word in O(n log n). tiktoken needs quadratic time, which is fine for real words but not for 100 kB
 * of one letter. The pair of the lowest rank is merged first; among equal ranks, the leftmost.
 */
export class LongWordEncoder {
  /** The rank of each token, whose bytes are written as characters from 0 to 255. */
  readonly #rankOf: ReadonlyMap<string, number>;
  readonly #longest: number;

  constructor(rankOf: ReadonlyMap<string, number>) {
    this.#rankOf = rankOf;
    let longest = 1;
    for (const { length } of rankOf.keys()) longest = Math.max(longest, length);
    this.#longest = longest;
  }

  /** @returns the ranks of the word's tokens */
  encode(word: string, work: Work): number[] {
    const bytes = Buffer.from(word).toString('latin1');
    const { length } = bytes;
    // A doubly linked list of the tokens so far, by the position of their first byte.
    const next = Int32Array.from({ length: length + 1 }, (_, at) => at + 1);
    const previous = Int32Array.from({ length: length + 1 }, (_, at) => at - 1);
    /** The rank of a token merged with the next one; -1 if they do not merge. Identifies stale entries of the queue. */
    const rankAt = new Int32Array(length + 1).fill(-1);
    const queue = new FlatQueue<number>();
    const consider = (at: number) => {
      const middle = next[at] ?? length;
      const end = next[middle] ?? length;
      const isPair = middle < length && end - at <= this.#longest;
      const rank = (isPair ? this.#rankOf.get(bytes.slice(at, end)) : undefined) ?? -1;
      rankAt[at] = rank;
      if (rank >= 0) queue.push(at, rank * length + at);
    };
    for (let at = 0; at + 1 < length; at++) {
      work.step();
      consider(at);
    }
    while (queue.length > 0) {
      work.step();
      const rank = Math.floor((queue.peekValue() ?? 0) / length);
      const at = queue.pop() ?? 0;
      if (rankAt[at] !== rank) continue;
      const middle = next[at] ?? length;
      const end = next[middle] ?? length;
      rankAt[middle] = -1;
      next[at] = end;
      previous[end] = at;
      consider(at);
      const before = previous[at] ?? -1;
      if (before >= 0) consider(before);
    }
    const ranks: number[] = [];
    for (let at = 0; at < length; at = next[at] ?? length)
      ranks.push(this.#rankOf.get(bytes.slice(at, next[at])) ?? -1);
    return ranks;
  }
}
