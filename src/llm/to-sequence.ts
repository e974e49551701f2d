import { ContextLengthError, defaultMaxNewTokens, type GenerateRequest, InvalidRequestError } from '../core/index.ts';
import { Sequence } from '../scheduler/index.ts';

/** What a prompt has to fit. */
export interface PromptLimits {
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
  prompt: { readonly tokenIds: readonly number[]; readonly arrivedAtMs: number },
  { maxModelLen, vocabSize }: PromptLimits,
): Sequence {
  const { tokenIds: promptTokenIds, arrivedAtMs } = prompt;
  if (promptTokenIds.length >= maxModelLen) throw promptTooLong(`${promptTokenIds.length}`, maxModelLen);
  checkTokenIds(promptTokenIds, vocabSize);
  const left = maxModelLen - promptTokenIds.length;
  const maxNewTokens = request.maxNewTokens ?? Math.min(defaultMaxNewTokens, left);
  if (maxNewTokens > left) {
    throw new ContextLengthError(
      `max_new_tokens is ${maxNewTokens}, and the prompt of ${promptTokenIds.length} tokens leaves ${left} of the context of ${maxModelLen}`,
      'max_new_tokens',
    );
  }
  return new Sequence({ id: request.id, promptTokenIds, sampling: request.sampling, maxNewTokens, arrivedAtMs });
}

/** @param howMany tokens the prompt has, in words */
export function promptTooLong(howMany: string, maxModelLen: number): ContextLengthError {
  return new ContextLengthError(
    `prompt has ${howMany} tokens, and the context of ${maxModelLen} takes prompts of up to ${maxModelLen - 1}`,
    'prompt',
  );
}

function checkTokenIds(tokenIds: readonly number[], vocabSize: number): void {
  if (tokenIds.length === 0) throw new InvalidRequestError('prompt is empty', 'prompt');
  const index = tokenIds.findIndex((id) => id >= vocabSize);
  if (index < 0) return;
  throw new InvalidRequestError(
    `prompt[${index}] is ${tokenIds[index]}; the token ids of this model are 0 to ${vocabSize - 1}`,
    'prompt',
  );
}
