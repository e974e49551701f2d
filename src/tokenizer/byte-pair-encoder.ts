import { Tiktoken } from 'tiktoken/lite';
import { ModelError, show } from '../core/index.ts';
import { byteAlphabet, bytesOfToken } from './byte-level.ts';
import { LongWordEncoder } from './long-word.ts';
import type { AddedToken, TokenizerSpec } from './tokenizer-spec.ts';

/** GPT-2's way to cut a text into words. Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py */
const wordPattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const words = new RegExp(wordPattern, 'gu');

const defaultLongWordBytes = 512;

/** Byte-level BPE: text to ids, on tiktoken. The merges give tiktoken's ranks, the vocabulary gives the ids. */
export class BytePairEncoder {
  readonly #spec: TokenizerSpec;
  readonly #tiktoken: Tiktoken;
  readonly #ranked: readonly string[];
  readonly #longWordBytes: number;
  #longWords: LongWordEncoder | undefined;
  /** tiktoken's rank to the vocabulary's id; -1 where the vocabulary lacks a byte. */
  readonly #idOfRank: Int32Array;
  readonly #addedTokens: RegExp | undefined;
  readonly #idOfAddedToken: ReadonlyMap<string, number>;

  /** @param options.longWordBytes words from this size on are not given to tiktoken */
  constructor(spec: TokenizerSpec, { longWordBytes = defaultLongWordBytes } = {}) {
    this.#spec = spec;
    this.#longWordBytes = longWordBytes;
    this.#ranked = rankedTokens(spec);
    const bytes = this.#ranked.map((token) => tokenBytes(token).toString('base64'));
    this.#tiktoken = new Tiktoken(`! 0 ${bytes.join(' ')}`, {}, wordPattern);
    this.#idOfRank = Int32Array.from(this.#ranked, (token) => spec.vocab.get(token) ?? -1);
    this.#addedTokens = patternOf(spec.addedTokens);
    this.#idOfAddedToken = new Map(spec.addedTokens.map(({ content, id }) => [content, id]));
  }

  /** The ids of a text, with what the tokenizer puts around every text. */
  encode(text: string): number[] {
    const ids = [...this.#spec.prefix];
    let end = 0;
    for (const match of this.#addedTokens === undefined ? [] : text.matchAll(this.#addedTokens)) {
      this.#encodeOrdinary(text.slice(end, match.index), ids);
      const id = this.#idOfAddedToken.get(match[0]) ?? this.#idOfAddedToken.get(match[0].trim());
      if (id !== undefined) ids.push(id);
      end = match.index + match[0].length;
    }
    this.#encodeOrdinary(text.slice(end), ids);
    ids.push(...this.#spec.suffix);
    return ids;
  }

  dispose(): void {
    this.#tiktoken.free();
  }

  #encodeOrdinary(text: string, ids: number[]): void {
    if (text === '') return;
    const prefixed = this.#spec.addPrefixSpace && !text.startsWith(' ') ? ` ${text}` : text;
    for (const rank of this.#ranksOf(prefixed)) {
      const id = this.#idOfRank[rank];
      if (id !== undefined && id >= 0) ids.push(id);
    }
  }

  #ranksOf(text: string): Iterable<number> {
    const isLong = (word: string) => Buffer.byteLength(word) >= this.#longWordBytes;
    const cut = isLong(text) ? (text.match(words) ?? []) : [];
    if (!cut.some(isLong)) return this.#tiktoken.encode_ordinary(text);
    this.#longWords ??= new LongWordEncoder(
      new Map(this.#ranked.map((token, rank) => [tokenBytes(token).toString('latin1'), rank])),
    );
    const longWords = this.#longWords;
    return cut.flatMap((word) => (isLong(word) ? longWords.encode(word) : [...this.#tiktoken.encode_ordinary(word)]));
  }
}

/** The bytes, then each merge's product: their index is tiktoken's rank. */
function rankedTokens(spec: TokenizerSpec): string[] {
  const ranked = new Set(byteAlphabet);
  for (const [left, right] of spec.merges) {
    if (!spec.vocab.has(left + right))
      throw new ModelError(`the tokenizer merges ${show(left)} and ${show(right)} to no token of its vocabulary`);
    ranked.add(left + right);
  }
  return [...ranked];
}

function tokenBytes(token: string): Buffer {
  const bytes = bytesOfToken(token);
  if (bytes === undefined)
    throw new ModelError(`the tokenizer's token ${show(token)} is not written in GPT-2's byte alphabet`);
  return bytes;
}

/** Finds the added tokens in a text, the longest first where several begin. */
function patternOf(tokens: readonly AddedToken[]): RegExp | undefined {
  if (tokens.length === 0) return undefined;
  const longestFirst = [...tokens].sort((a, b) => b.content.length - a.content.length);
  const alternatives = longestFirst.map(({ content, lstrip, rstrip, singleWord }) => {
    const literal = content.replace(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
    const word = singleWord ? String.raw`(?<![\p{L}\p{N}_])${literal}(?![\p{L}\p{N}_])` : literal;
    return `${lstrip ? String.raw`\s*` : ''}${word}${rstrip ? String.raw`\s*` : ''}`;
  });
  return new RegExp(alternatives.join('|'), 'gu');
}
