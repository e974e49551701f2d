import { Tiktoken } from 'tiktoken/lite';
import { AddedTokens } from './added-tokens.ts';
import { bytesOfToken } from './byte-level.ts';
import { isWhiteSpace } from './characters.ts';
import type { EncoderTables } from './encoder-tables.ts';
import { LongWordEncoder } from './long-word.ts';
import { Work } from './work.ts';

/** GPT-2's way to cut a text into words. Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py */
const wordPattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** The same, with white space as tiktoken means it, which is not quite JavaScript's. */
const words = new RegExp(
  wordPattern
    .replaceAll(String.raw`\s`, String.raw`\p{White_Space}`)
    .replaceAll(String.raw`\S`, String.raw`\P{White_Space}`),
  'gu',
);

const defaultLongWordBytes = 512;

/** tiktoken takes 5 to 20 s to take over a million tokens, and 0.3 s for this many. */
const maxTokensOfTiktoken = 2 ** 18;

/** The UTF-16 code units, more or less, that are given to tiktoken at once. */
const unitsAtOnce = 4096;

/** Byte-level BPE: text to ids, on tiktoken. The merges give tiktoken's ranks, the vocabulary gives the ids. */
export class BytePairEncoder {
  readonly #tables: EncoderTables;
  readonly #addedTokens: AddedTokens;
  readonly #longWordBytes: number;
  /** Undefined where every word counts as long. */
  readonly #tiktoken: Tiktoken | undefined;
  #longWords: LongWordEncoder | undefined;

  /** @param options.longWordBytes words from this size on are not given to tiktoken; nor is any word of a very large vocabulary */
  constructor(tables: EncoderTables, { longWordBytes = defaultLongWordBytes } = {}) {
    this.#tables = tables;
    this.#addedTokens = new AddedTokens(tables.addedTokens);
    this.#longWordBytes = tables.idOfRank.length > maxTokensOfTiktoken ? 0 : longWordBytes;
    if (this.#longWordBytes > 0) {
      const base64 = tokensOf(tables).map((token) => token.toString('base64'));
      this.#tiktoken = new Tiktoken(`! 0 ${base64.join(' ')}`, {}, wordPattern);
    } else this.#longWords = longWordEncoder(tables);
  }

  /** The ids of a text, with what the tokenizer puts around every text. */
  encode(text: string, work = new Work()): number[] {
    const ids = [...this.#tables.prefix];
    for (const piece of this.#addedTokens.split(text, work)) {
      if (typeof piece === 'string') this.#encodeOrdinary(piece, ids, work);
      else ids.push(piece.id);
    }
    ids.push(...this.#tables.suffix);
    return ids;
  }

  dispose(): void {
    this.#tiktoken?.free();
  }

  #encodeOrdinary(text: string, ids: number[], work: Work): void {
    if (text === '') return;
    const prefixed = this.#tables.addPrefixSpace && !text.startsWith(' ') ? ` ${text}` : text;
    for (const ranks of this.#ranksOf(prefixed, work)) {
      for (const rank of ranks) {
        const id = this.#tables.idOfRank[rank];
        if (id !== undefined && id >= 0) ids.push(id);
      }
    }
  }

  /** Long words one by one, the words between them together, but not so many that they could not be given up on the way. */
  *#ranksOf(text: string, work: Work): Generator<Iterable<number>> {
    let start = 0;
    let lastWord = 0;
    for (const { 0: word, index } of this.#isLong(text) ? text.matchAll(words) : []) {
      const isLong = this.#isLong(word);
      if (isLong || index - start >= unitsAtOnce) {
        // At the end of a text, unlike in front of a word, white space is not cut in two.
        const cut = isWhiteSpace(text.charCodeAt(index - 1)) ? lastWord : index;
        yield this.#encodeWords(text.slice(start, cut), work);
        yield this.#encodeWords(text.slice(cut, index), work);
        start = index;
      }
      lastWord = index;
      if (!isLong) continue;
      this.#longWords ??= longWordEncoder(this.#tables);
      yield this.#longWords.encode(word, work);
      start = index + word.length;
      lastWord = start;
    }
    yield this.#encodeWords(text.slice(start), work);
  }

  #encodeWords(text: string, work: Work): Iterable<number> {
    work.step(text.length);
    return text === '' || this.#tiktoken === undefined ? [] : this.#tiktoken.encode_ordinary(text);
  }

  #isLong(text: string): boolean {
    return Buffer.byteLength(text) >= this.#longWordBytes;
  }
}

/** The tokens' bytes, by rank. */
function tokensOf({ rankedTokens }: EncoderTables): Buffer[] {
  return rankedTokens.split(' ').map((token) => bytesOfToken(token) ?? Buffer.alloc(0));
}

function longWordEncoder(tables: EncoderTables): LongWordEncoder {
  return new LongWordEncoder(new Map(tokensOf(tables).map((token, rank) => [token.toString('latin1'), rank])));
}
