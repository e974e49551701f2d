import { byteAlphabet } from './byte-level.ts';
import { isWhiteSpace } from './characters.ts';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** How much of an added token is compared with the text next to white space. Bounds the work, and is enough for all of `<mask>`. */
const unitsCompared = 8;

/** A lower bound for the number of tokens in a text, found in linear time without tokenizing. */
export class TokenCountBound {
  readonly #around: number;
  readonly #longestTokenBytes: number;
  /** Bytes that the vocabulary lacks. They do not become tokens. */
  readonly #lostBytes: ReadonlySet<number>;
  /** How the tokens begin that swallow the white space before them, and how those end that swallow the white space after them. */
  readonly #heads: Snippets;
  readonly #tails: Snippets;

  constructor({ vocab, merges, addedTokens, prefix, suffix }: TokenizerSpec) {
    this.#around = prefix.length + suffix.length;
    let longest = 1;
    for (const [left, right] of merges) longest = Math.max(longest, left.length + right.length);
    for (const { content } of addedTokens) longest = Math.max(longest, Buffer.byteLength(content));
    this.#longestTokenBytes = longest;
    this.#lostBytes = new Set([...byteAlphabet.keys()].filter((byte) => !vocab.has(byteAlphabet[byte] ?? '')));
    const takingBefore = addedTokens.filter(({ lstrip }) => lstrip);
    const takingBehind = addedTokens.filter(({ rstrip }) => rstrip);
    this.#heads = new Snippets(
      takingBefore.map(({ content }) => content.replace(/^\p{White_Space}+/u, '').slice(0, unitsCompared)),
    );
    this.#tails = new Snippets(
      takingBehind.map(({ content }) => content.replace(/\p{White_Space}+$/u, '').slice(-unitsCompared)),
    );
  }

  of(text: string, { addSpecialTokens = true } = {}): number {
    const bytes = Buffer.byteLength(text) - this.#swallowedBytes(text) - this.#numLostBytes(text);
    return (addSpecialTokens ? this.#around : 0) + Math.ceil(Math.max(0, bytes) / this.#longestTokenBytes);
  }

  /** The bytes of white space that added tokens may swallow. */
  #swallowedBytes(text: string): number {
    if (this.#heads.isEmpty && this.#tails.isEmpty) return 0;
    let swallowed = 0;
    for (let at = 0; at < text.length; at++) {
      if (!isWhiteSpace(text.charCodeAt(at))) continue;
      const start = at;
      while (isWhiteSpace(text.charCodeAt(at))) at++;
      if (this.#heads.beginAt(text, at) || this.#tails.endAt(text, start))
        swallowed += Buffer.byteLength(text.slice(start, at));
    }
    return swallowed;
  }

  #numLostBytes(text: string): number {
    if (this.#lostBytes.size === 0) return 0;
    let lost = 0;
    for (const byte of Buffer.from(text)) if (this.#lostBytes.has(byte)) lost++;
    return lost;
  }
}

/** Short strings to look for at a given position. */
class Snippets {
  readonly #snippets: ReadonlySet<string>;
  readonly #lengths: readonly number[];
  readonly #firstUnits: ReadonlySet<number>;
  readonly #lastUnits: ReadonlySet<number>;

  constructor(snippets: readonly string[]) {
    this.#snippets = new Set(snippets);
    this.#lengths = [...new Set(snippets.map(({ length }) => length))];
    this.#firstUnits = new Set(snippets.map((snippet) => snippet.charCodeAt(0)));
    this.#lastUnits = new Set(snippets.map((snippet) => snippet.charCodeAt(snippet.length - 1)));
  }

  get isEmpty(): boolean {
    return this.#snippets.size === 0;
  }

  beginAt(text: string, at: number): boolean {
    if (this.#snippets.has('')) return true;
    if (!this.#firstUnits.has(text.charCodeAt(at))) return false;
    return this.#lengths.some((length) => this.#snippets.has(text.slice(at, at + length)));
  }

  endAt(text: string, at: number): boolean {
    if (this.#snippets.has('')) return true;
    if (!this.#lastUnits.has(text.charCodeAt(at - 1))) return false;
    return this.#lengths.some((length) => this.#snippets.has(text.slice(Math.max(0, at - length), at)));
  }
}
