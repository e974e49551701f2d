import { ModelError, show } from '../core/index.ts';
import { byteAlphabet, isByteLevel } from './byte-level.ts';
import { tokenizerLimits } from './limits.ts';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** What an encoder needs to know of a tokenizer: a few large values, which are quick to pass to a worker thread. */
export interface EncoderTables extends Pick<TokenizerSpec, 'addedTokens' | 'prefix' | 'suffix' | 'addPrefixSpace'> {
  /** All bytes, then the result of each merge, in GPT-2's byte alphabet, separated by spaces. A token's index is its rank. */
  readonly rankedTokens: string;
  /** The id of each rank; -1 for bytes that the vocabulary lacks. */
  readonly idOfRank: Int32Array;
}

/** @throws {ModelError} the merges do not fit the vocabulary */
export function encoderTables(spec: TokenizerSpec): EncoderTables {
  const { addedTokens, prefix, suffix, addPrefixSpace } = spec;
  const ranked = new Set(byteAlphabet);
  for (const [left, right] of spec.merges) ranked.add(productOf(left, right, spec.vocab));
  const tokens = [...ranked];
  return {
    addedTokens,
    prefix,
    suffix,
    addPrefixSpace,
    rankedTokens: tokens.join(' '),
    idOfRank: Int32Array.from(tokens, (token) => spec.vocab.get(token) ?? -1),
  };
}

function productOf(left: string, right: string, vocab: TokenizerSpec['vocab']): string {
  const token = left + right;
  if (!vocab.has(token))
    throw new ModelError(
      `the tokenizer merges ${show(left)} and ${show(right)}, but the result is not in its vocabulary`,
    );
  if (!isByteLevel(token))
    throw new ModelError(`the tokenizer's token ${show(token)} is not written in GPT-2's byte alphabet`);
  const { maxTokenLength } = tokenizerLimits;
  if (token.length > maxTokenLength)
    throw new ModelError(
      `the tokenizer's token ${show(token)} has ${token.length} bytes; at most ${maxTokenLength} are allowed`,
    );
  return token;
}
