import { Tiktoken } from 'tiktoken/lite';
import { ModelError, show } from '../core/index.ts';
import { byteAlphabet, bytesOfToken } from './byte-level.ts';
import type { AddedToken, TokenizerSpec } from './tokenizer-spec.ts';

/** GPT-2's way to cut a text into words. Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py */
const wordPattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** Byte-level BPE: text to ids, on tiktoken. The merges give tiktoken's ranks, the vocabulary gives the ids. */
export class BytePairEncoder {
  readonly #spec: TokenizerSpec;
  readonly #tiktoken: Tiktoken;
  /** tiktoken's rank to the vocabulary's id; -1 where the vocabulary lacks a byte. */
  readonly #idOfRank: Int32Array;
  readonly #addedTokens: RegExp | undefined;
  readonly #idOfAddedToken: ReadonlyMap<string, number>;

  constructor(spec: TokenizerSpec) {
    this.#spec = spec;
    const ranked = rankedTokens(spec);
    this.#tiktoken = new Tiktoken(`! 0 ${ranked.map(base64OfToken).join(' ')}`, {}, wordPattern);
    this.#idOfRank = Int32Array.from(ranked, (token) => spec.vocab.get(token) ?? -1);
    this.#addedTokens = patternOf(spec.addedTokens);
    this.#idOfAddedToken = new Map(spec.addedTokens.map(({ content, id }) => [content, id]));
  }

  /** The ids of a text, with what the tokenizer puts around every text. Time grows with the square of the longest word. */
  encode(text: string): number[] {
    const ids = [...this.#spec.prefix];
    let end = 0;
    for (const match of this.#addedTokens === undefined ? [] : text.matchAll(this.#addedTokens)) {
      this.#encodeOrdinary(text.slice(end, match.index), ids);
      const id = this.#idOfAddedToken.get(match[0].trim()) ?? this.#idOfAddedToken.get(match[0]);
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
    const words = this.#spec.addPrefixSpace && !/^\s/u.test(text) ? ` ${text}` : text;
    for (const rank of this.#tiktoken.encode_ordinary(words)) {
      const id = this.#idOfRank[rank];
      if (id !== undefined && id >= 0) ids.push(id);
    }
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

function base64OfToken(token: string): string {
  const bytes = bytesOfToken(token);
  if (bytes === undefined)
    throw new ModelError(`the tokenizer's token ${show(token)} is not written in GPT-2's byte alphabet`);
  return bytes.toString('base64');
}

/** Finds the added tokens in a text, the longest first where several begin. */
function patternOf(tokens: readonly AddedToken[]): RegExp | undefined {
  if (tokens.length === 0) return undefined;
  const longestFirst = [...tokens].sort((a, b) => b.content.length - a.content.length);
  const alternatives = longestFirst.map(({ content, lstrip, rstrip, singleWord }) => {
    const literal = content.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
    const word = singleWord ? String.raw`(?<![\p{L}\p{N}_])${literal}(?![\p{L}\p{N}_])` : literal;
    return `${lstrip ? String.raw`\s*` : ''}${word}${rstrip ? String.raw`\s*` : ''}`;
  });
  return new RegExp(alternatives.join('|'), 'gu');
}
