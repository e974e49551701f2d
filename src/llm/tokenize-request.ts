import { setImmediate } from 'node:timers/promises';
import { type GenerateRequest, InvalidParameterError } from '../core/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { promptTooLong } from './to-sequence.ts';

interface TokenizeContext {
  /** Undefined if the model has none. */
  readonly tokenizer: Tokenizer | undefined;
  readonly maxModelLen: number;
  readonly signal: AbortSignal;
}

interface Capacity {
  readonly maxBatchSize: number;
  readonly maxQueueSize: number;
}

/** @throws {InvalidParameterError} the request asks for more answers than could ever be admitted */
export function checkNumAnswers({ prompts, n }: GenerateRequest, { maxBatchSize, maxQueueSize }: Capacity): void {
  if (n > maxBatchSize) {
    throw new InvalidParameterError({
      parameter: 'n',
      problem: `is ${n}; at most ${maxBatchSize} answers can be generated together`,
    });
  }
  const numAnswers = prompts.length * n;
  const maxAnswers = maxBatchSize + maxQueueSize;
  if (numAnswers <= maxAnswers) return;
  throw new InvalidParameterError({
    parameter: 'prompts',
    problem: `asks for ${numAnswers} answers (${prompts.length} prompts, n is ${n}); at most ${maxAnswers} can be accepted at once`,
  });
}

/**
 * The tokens of everything in a request that is text.
 * @throws {InvalidParameterError} there is text, and the model has no tokenizer
 * @throws {ContextLengthError} a prompt is far too long
 */
export async function tokenize(request: GenerateRequest, context: TokenizeContext) {
  const prompts: (readonly number[])[] = [];
  for (const [i, prompt] of request.prompts.entries()) {
    // Each prompt may take some milliseconds.
    if (i > 0) await setImmediate();
    const path = request.prompts.length > 1 ? [i] : [];
    const tokenIds = await tokenizePrompt(prompt, { ...context, request, path });
    prompts.push(tokenIds);
  }
  return { prompts, bannedSequences: await tokenizeBadWords(request.badWords, context) };
}

interface PromptContext extends TokenizeContext {
  readonly request: GenerateRequest;
  readonly path: readonly number[];
}

async function tokenizePrompt(
  prompt: GenerateRequest['prompts'][number],
  { tokenizer, maxModelLen, request, path, signal }: PromptContext,
): Promise<readonly number[]> {
  const { addSpecialTokens, truncatePromptTokens: maxTokens, truncationSide: side } = request;
  // A copy, made before anything is awaited: the caller may change its own list.
  if (typeof prompt !== 'string') return truncated(prompt, { maxTokens, numPrefixTokens: 0, side });
  if (tokenizer === undefined) throw noTokenizer('prompts', path);
  const minTokens = tokenizer.minTokens(prompt, { addSpecialTokens });
  if (maxTokens === undefined && minTokens >= maxModelLen) {
    throw promptTooLong(`at least ${minTokens}`, { maxModelLen, path });
  }
  const tokenIds = await tokenizer.encode(prompt, { addSpecialTokens, signal });
  return truncated(tokenIds, { maxTokens, numPrefixTokens: addSpecialTokens ? tokenizer.numPrefixTokens : 0, side });
}

interface Truncation {
  readonly maxTokens: number | undefined;
  /** Tokens in front that are kept in any case. */
  readonly numPrefixTokens: number;
  readonly side: GenerateRequest['truncationSide'];
}

/** A copy, without what is too much. */
function truncated(
  tokenIds: readonly number[],
  { maxTokens = tokenIds.length, numPrefixTokens, side }: Truncation,
): number[] {
  const numCut = Math.max(0, tokenIds.length - maxTokens);
  const start = side === 'left' ? Math.min(numPrefixTokens, maxTokens) : maxTokens;
  return tokenIds.toSpliced(start, numCut);
}

/**
 * A word may be written as other tokens behind a space.
 * Source: `SamplingParams.update_from_tokenizer` in https://github.com/vllm-project/vllm/blob/main/vllm/sampling_params.py
 */
async function tokenizeBadWords(
  words: readonly string[],
  { tokenizer, maxModelLen, signal }: TokenizeContext,
): Promise<readonly (readonly number[])[]> {
  if (words.length > 0 && tokenizer === undefined) throw noTokenizer('badWords', [0]);
  const bareWords = new Set(words.map((word) => word.trimStart()));
  const sequences: (readonly number[])[] = [];
  for (const written of [...bareWords].flatMap((bare) => [bare, ` ${bare}`])) {
    // Each word may take some milliseconds.
    await setImmediate();
    const tokenIds = await tokenizer?.encode(written, { addSpecialTokens: false, signal });
    // A longer sequence can never be completed.
    if (tokenIds !== undefined && tokenIds.length > 0 && tokenIds.length <= maxModelLen) sequences.push(tokenIds);
  }
  return sequences;
}

function noTokenizer(parameter: 'prompts' | 'badWords', path: readonly number[]): InvalidParameterError {
  return new InvalidParameterError({
    parameter,
    path,
    problem: 'is text, and this model has no tokenizer: give a list of token ids',
  });
}
