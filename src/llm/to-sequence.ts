import { ContextLengthError, defaultMaxNewTokens, type GenerateRequest, InvalidParameterError } from '../core/index.ts';
import { Sequence } from '../scheduler/index.ts';

/** What the model imposes on a prompt. */
export interface PromptLimits {
  readonly maxModelLen: number;
  readonly vocabSize: number;
}

/**
 * Makes a sequence of a tokenized request, checked against the model.
 * @throws {InvalidParameterError} the vocabulary has no such token id
 * @throws {ContextLengthError} the prompt and the new tokens do not fit into the context
 */
export function toSequence(
  request: GenerateRequest,
  prompt: { readonly tokenIds: readonly number[]; readonly arrivedAtMs: number },
  { maxModelLen, vocabSize }: PromptLimits,
): Sequence {
  const { tokenIds: promptTokenIds, arrivedAtMs } = prompt;
  if (promptTokenIds.length >= maxModelLen) throw promptTooLong(`${promptTokenIds.length}`, maxModelLen);
  checkTokenIds(promptTokenIds, vocabSize);
  const left = maxModelLen - promptTokenIds.length;
  const maxNewTokens = request.maxNewTokens ?? Math.min(defaultMaxNewTokens, left);
  if (maxNewTokens > left) {
    throw new ContextLengthError({
      parameter: 'maxNewTokens',
      problem: `is ${maxNewTokens}, and the prompt of ${promptTokenIds.length} tokens leaves ${left} of the context of ${maxModelLen}`,
    });
  }
  return new Sequence({
    id: request.id,
    promptTokenIds,
    // A copy, as of the prompt: the caller may change its own objects.
    sampling: { ...request.sampling },
    ignoreEos: request.ignoreEos,
    maxNewTokens,
    arrivedAtMs,
  });
}

/** @param numTokens the length of the prompt, in words */
export function promptTooLong(numTokens: string, maxModelLen: number): ContextLengthError {
  return new ContextLengthError({
    parameter: 'prompt',
    problem: `has ${numTokens} tokens, and the context of ${maxModelLen} takes prompts of up to ${maxModelLen - 1}`,
  });
}

function checkTokenIds(tokenIds: readonly number[], vocabSize: number): void {
  if (tokenIds.length === 0) throw new InvalidParameterError({ parameter: 'prompt', problem: 'is empty' });
  const index = tokenIds.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (index < 0) return;
  throw new InvalidParameterError({
    parameter: 'prompt',
    index,
    problem: `is ${tokenIds[index]}; the token ids of this model are 0 to ${vocabSize - 1}`,
  });
}
