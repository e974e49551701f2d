import {
  ContextLengthError,
  defaultMaxNewTokens,
  type GenerateRequest,
  InvalidParameterError,
  type RequestParameter,
  requestLimits,
} from '../core/index.ts';
import { Sequence } from '../scheduler/index.ts';

/** What the model imposes on a prompt. */
export interface PromptLimits {
  readonly maxModelLen: number;
  readonly vocabSize: number;
  readonly eosTokenIds: readonly number[];
}

/** A request whose text has become tokens. */
export interface TokenizedRequest {
  readonly request: GenerateRequest;
  readonly prompts: readonly (readonly number[])[];
  readonly bannedSequences: readonly (readonly number[])[];
  readonly arrivedAtMs: number;
}

/**
 * Makes a sequence of each prompt of a request, checked against the model. Further answers to a prompt are forks of its sequence.
 * @throws {InvalidParameterError} the vocabulary has no such token id, or the reply would have too many log probabilities
 * @throws {ContextLengthError} a prompt and its new tokens do not fit into the context
 */
export function toSequences(tokenized: TokenizedRequest, limits: PromptLimits): Sequence[] {
  const { request, prompts } = tokenized;
  checkSamplingTokens(request, limits);
  checkPromptLogprobs(tokenized);
  return prompts.map((promptTokenIds, i) => {
    // A request with one prompt says `prompt[3]`, one with several `prompt[0][3]`.
    const path = prompts.length > 1 ? [i] : [];
    return toSequence({ ...tokenized, promptTokenIds, path }, limits);
  });
}

type TokenizedPrompt = TokenizedRequest & {
  readonly promptTokenIds: readonly number[];
  readonly path: readonly number[];
};

function toSequence(
  { request, promptTokenIds, path, bannedSequences, arrivedAtMs }: TokenizedPrompt,
  { maxModelLen, vocabSize, eosTokenIds }: PromptLimits,
): Sequence {
  if (promptTokenIds.length >= maxModelLen) throw promptTooLong(`${promptTokenIds.length}`, { maxModelLen, path });
  if (promptTokenIds.length === 0)
    throw new InvalidParameterError({
      parameter: 'prompts',
      path,
      problem: 'is empty; a decoder prompt cannot be empty',
    });
  checkTokenIds('prompts', promptTokenIds, { vocabSize, path });
  const left = maxModelLen - promptTokenIds.length;
  const limit = request.maxNewTokens ?? { atMost: defaultMaxNewTokens };
  const maxNewTokens = typeof limit === 'number' ? limit : Math.min(limit.atMost, left);
  if (maxNewTokens > left) {
    throw new ContextLengthError({
      parameter: 'maxNewTokens',
      problem: `is ${maxNewTokens}; it must be at most ${left}: the prompt of ${promptTokenIds.length} tokens takes the rest of the context of ${maxModelLen}`,
    });
  }
  const { minNewTokens, stopTokenIds, ignoreEos, numLogprobs, numPromptLogprobs } = request;
  if (minNewTokens > maxNewTokens) {
    throw new InvalidParameterError({
      parameter: 'minNewTokens',
      problem: `is ${minNewTokens}; it must be at most ${maxNewTokens}, the maximum number of new tokens`,
    });
  }
  const init = {
    id: request.id,
    promptTokenIds,
    // A copy, as of the prompt: the caller may change its own objects.
    sampling: { ...request.sampling, allowedTokenIds: distinct(request.sampling.allowedTokenIds) },
    endTokenIds: new Set([...(ignoreEos ? [] : eosTokenIds), ...stopTokenIds]),
    bannedSequences,
    maxNewTokens,
    minNewTokens,
    numLogprobs,
    numPromptLogprobs,
    arrivedAtMs,
  };
  return new Sequence(init, { n: request.n });
}

/** @param numTokens the length of the prompt, in words */
export function promptTooLong(
  numTokens: string,
  { maxModelLen, path }: { readonly maxModelLen: number; readonly path: readonly number[] },
): ContextLengthError {
  return new ContextLengthError({
    parameter: 'prompts',
    path,
    problem: `has ${numTokens} tokens, and the context of ${maxModelLen} takes prompts of up to ${maxModelLen - 1}`,
  });
}

/** A reply is written at once, so the log probabilities of many long prompts would block the event loop. */
function checkPromptLogprobs({
  request: { numPromptLogprobs, repeatsPrompt = false, n },
  prompts,
}: TokenizedRequest): void {
  if (numPromptLogprobs === undefined) return;
  const numTokens = prompts.reduce((sum, { length }) => sum + length, 0);
  const perToken = 1 + numPromptLogprobs;
  const copies = repeatsPrompt ? n : 1;
  const count = numTokens * perToken * copies;
  const { maxReplyLogprobs: most } = requestLimits;
  if (count <= most) return;
  const repeated = copies > 1 ? `, in each of ${copies} answers` : '';
  throw new InvalidParameterError({
    parameter: 'numPromptLogprobs',
    problem: `asks for ${count} log probabilities: ${perToken} for each of ${numTokens} prompt tokens${repeated}; at most ${most} can be in a reply`,
  });
}

function checkSamplingTokens({ stopTokenIds, sampling }: GenerateRequest, { vocabSize }: PromptLimits): void {
  checkTokenIds('stopTokenIds', stopTokenIds, { vocabSize });
  checkTokenIds('allowedTokenIds', sampling.allowedTokenIds ?? [], { vocabSize });
  const [strange] = sampling.logitBias.find(([id]) => !isTokenId(id, vocabSize)) ?? [];
  if (strange === undefined) return;
  throw new InvalidParameterError({
    parameter: 'logitBias',
    problem: `has the token id ${strange}, ${outOfVocabulary(vocabSize)}`,
  });
}

function checkTokenIds(
  parameter: RequestParameter,
  tokenIds: readonly number[],
  { vocabSize, path = [] }: { readonly vocabSize: number; readonly path?: readonly number[] },
): void {
  const index = tokenIds.findIndex((id) => !isTokenId(id, vocabSize));
  if (index < 0) return;
  throw new InvalidParameterError({
    parameter,
    path: [...path, index],
    problem: `is ${tokenIds[index]}, ${outOfVocabulary(vocabSize)}`,
  });
}

/** A copy without repetitions: masks cost as much as they have ids, at every step. */
function distinct(tokenIds: readonly number[] | undefined): readonly number[] | undefined {
  return tokenIds && [...new Set(tokenIds)];
}

function isTokenId(id: number, vocabSize: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < vocabSize;
}

/** Behind the id at fault. Clients of vLLM look for "out of vocabulary" and the size. */
function outOfVocabulary(vocabSize: number): string {
  return `which is out of vocabulary; the ${vocabSize} token ids of this model are 0 to ${vocabSize - 1}`;
}
