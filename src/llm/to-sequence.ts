import {
  ContextLengthError,
  defaultMaxNewTokens,
  type GenerateRequest,
  InvalidRequestError,
  Sequence,
  show,
} from '../core/index.ts';

export interface ContextLimits {
  readonly maxModelLen: number;
  readonly vocabSize: number;
}

/**
 * A request whose prompt is known as tokens, checked against the model.
 * @throws {InvalidRequestError} an id that the model does not have
 * @throws {ContextLengthError} prompt and answer do not fit the context
 */
export function toSequence(
  request: GenerateRequest,
  promptTokenIds: readonly number[],
  limits: ContextLimits,
  arrivedAtMs: number,
): Sequence {
  checkPromptLength(promptTokenIds.length, limits.maxModelLen);
  checkTokenIds(promptTokenIds, limits.vocabSize);
  const left = limits.maxModelLen - promptTokenIds.length;
  const maxNewTokens = request.maxNewTokens ?? Math.min(defaultMaxNewTokens, left);
  if (maxNewTokens > left) {
    throw new ContextLengthError(
      `max_new_tokens is ${maxNewTokens}, and the prompt of ${promptTokenIds.length} tokens leaves ${left} of the context of ${limits.maxModelLen}`,
      'max_new_tokens',
    );
  }
  return new Sequence({ id: request.id, promptTokenIds, sampling: request.sampling, maxNewTokens, arrivedAtMs });
}

/** @param isLowerBound the prompt has not been tokenized: it has so many tokens, or more */
export function checkPromptLength(numTokens: number, maxModelLen: number, isLowerBound = false): void {
  if (numTokens < maxModelLen) return;
  throw new ContextLengthError(
    `prompt has ${isLowerBound ? 'at least ' : ''}${numTokens} tokens, and the context of ${maxModelLen} takes prompts of up to ${maxModelLen - 1}`,
    'prompt',
  );
}

function checkTokenIds(tokenIds: readonly number[], vocabSize: number): void {
  if (tokenIds.length === 0) throw new InvalidRequestError('prompt is empty', 'prompt');
  const index = tokenIds.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (index < 0) return;
  throw new InvalidRequestError(
    `prompt[${index}] is ${show(tokenIds[index])}; the token ids of this model are 0 to ${vocabSize - 1}`,
    'prompt',
  );
}
