import {
  defaultMaxNewTokens,
  type GenerateRequest,
  InvalidParameterError,
  requestLimits,
  type ServedModel,
} from '../core/index.ts';

/**
 * Checks a request whose reply is not streamed, but written at once, which would block the event loop. The engine checks what is reported of
 * prompts, because it knows their tokens.
 * @throws {InvalidParameterError} the reply may have too many log probabilities
 */
export function checkReplySize(
  { prompts, n, numLogprobs, maxNewTokens = { atMost: defaultMaxNewTokens } }: GenerateRequest,
  { maxModelLen = 0 }: ServedModel,
): void {
  if (numLogprobs === undefined) return;
  const numTokens = typeof maxNewTokens === 'number' ? maxNewTokens : Math.min(maxNewTokens.atMost, maxModelLen);
  const perToken = 1 + numLogprobs;
  const numAnswers = prompts.length * n;
  const count = numAnswers * numTokens * perToken;
  const { maxReplyLogprobs: most } = requestLimits;
  if (count <= most) return;
  throw new InvalidParameterError({
    parameter: 'numLogprobs',
    problem: `asks for up to ${count} log probabilities: ${perToken} for each of ${numTokens} new tokens, in each of ${numAnswers} answers; at most ${most} can be in a reply that is not streamed`,
  });
}
