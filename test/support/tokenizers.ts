import { byteAlphabet } from '../../src/tokenizer/byte-level.ts';
import type { AddedToken, TokenizerSpec } from '../../src/tokenizer/tokenizer-spec.ts';

/** How tests encode: nothing stops them. */
export const withSpecialTokens = { addSpecialTokens: true, signal: new AbortController().signal } as const;
export const withoutSpecialTokens = { ...withSpecialTokens, addSpecialTokens: false } as const;

/** A tokenizer whose first 256 ids are the bytes. Each merge takes the next id. */
export function byteTokenizer({ merges = [], ...changes }: Partial<Omit<TokenizerSpec, 'vocab'>> = {}): TokenizerSpec {
  const tokens = [...byteAlphabet, ...merges.map(([left, right]) => left + right)];
  const vocab = new Map(tokens.map((token, id) => [token, id]));
  return { vocab, merges, addedTokens: [], prefix: [], suffix: [], addPrefixSpace: false, ...changes };
}

/** An added token with no flags set except `special`. */
export function addedToken(id: number, content: string, flags: Partial<AddedToken> = {}): AddedToken {
  const none = { special: true, lstrip: false, rstrip: false, singleWord: false, normalized: false };
  return { ...none, ...flags, id, content };
}
