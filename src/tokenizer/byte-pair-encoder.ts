import { Tiktoken } from 'tiktoken/lite';
import { AddedTokens } from './added-tokens.ts';
import { bytesOfToken } from './byte-level.ts';
import { isWhiteSpace } from './characters.ts';
import type { EncoderTables } from './encoder-tables.ts';
import { LongWordEncoder } from './long-word.ts';
import { Work } from './work.ts';

/** How GPT-2 splits a text into words. Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py */
const wordPattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** The same for JavaScript, with white space as tiktoken defines it. */
const words = new RegExp(
  wordPattern
    .replaceAll(String.raw`\s`, String.raw`\p{White_Space}`)
    .replaceAll(String.raw`\S`, String.raw`\P{White_Space}`),
  'gu',
);

const defaultLongWordBytes = 512;

/** Loading a million tokens takes tiktoken 5 to 20 s; loading this many takes 0.3 s. */
const maxTokensOfTiktoken = 2 ** 18;

/** Roughly how many UTF-16 code units tiktoken gets at once. */
const unitsAtOnce = 4096;

export interface EncodeOptions {
  /** Whether the ids include those that the tokenizer puts around every text. Defaults to true. */
  readonly addSpecialTokens?: boolean;
  readonly work?: Work;
}

/** Byte-level BPE from text to ids, on top of tiktoken. The merges determine tiktoken's ranks, the vocabulary the ids. */
export class BytePairEncoder {
  readonly #tables: EncoderTables;
  readonly #addedTokens: AddedTokens;
  readonly #longWordBytes: number;
  /** Undefined if every word counts as long. */
  readonly #tiktoken: Tiktoken | undefined;
  #longWords: LongWordEncoder | undefined;

  /** @param options.longWordBytes words of at least this size bypass tiktoken. If the vocabulary is very large, all words do. */
  constructor(tables: EncoderTables, { longWordBytes = defaultLongWordBytes } = {}) {
    this.#tables = tables;
    this.#addedTokens = new AddedTokens(tables.addedTokens);
    this.#longWordBytes = tables.idOfRank.length > maxTokensOfTiktoken ? 0 : longWordBytes;
    if (this.#longWordBytes > 0) {
      const base64 = tokensOf(tables).map((token) => token.toString('base64'));
      this.#tiktoken = new Tiktoken(`! 0 ${base64.join(' ')}`, {}, wordPattern);
    } else this.#longWords = longWordEncoder(tables);
  }

  /** The ids of a text. */
  encode(text: string, { addSpecialTokens = true, work = new Work() }: EncodeOptions = {}): number[] {
    const { prefix, suffix } = addSpecialTokens ? this.#tables : { prefix: [], suffix: [] };
    const ids = [...prefix];
    for (const piece of this.#addedTokens.split(text, work)) {
      if (typeof piece === 'string') this.#encodeOrdinary(piece, ids, work);
      else ids.push(piece.id);
    }
    ids.push(...suffix);
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

  /** Encodes long words one by one, and the words between them in batches small enough that cancelling takes effect soon. */
  *#ranksOf(text: string, work: Work): Generator<Iterable<number>> {
    let start = 0;
    let lastWord = 0;
    for (const { 0: word, index } of this.#isLong(text) ? text.matchAll(words) : []) {
      const isLong = this.#isLong(word);
      if (isLong || index - start >= unitsAtOnce) {
        // White space before a word is split in two, but not at the end of a text: a cut behind it would change the result.
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

/** The bytes of every token, by rank. */
function tokensOf({ rankedTokens }: EncoderTables): Buffer[] {
  return rankedTokens.split(' ').map((token) => bytesOfToken(token) ?? Buffer.alloc(0));
}

function longWordEncoder(tables: EncoderTables): LongWordEncoder {
  return new LongWordEncoder(new Map(tokensOf(tables).map((token, rank) => [token.toString('latin1'), rank])));
}
