import { type GenerateRequest, InvalidRequestError } from '../../../core/index.ts';
import type { GenerateRoute, RequestContext } from '../../dialect.ts';
import { errorBody } from '../../error-body.ts';
import { createCompletionReply } from './completion-reply.ts';
import { type CompletionBody, completionBody, completionReplies, defaultMaxTokens } from './completion-schemas.ts';
import { completionErrors } from './errors.ts';
import { commonPartsOf, truncationOf } from './generation.ts';
import { checkModelName } from './model-name.ts';
import { promptsOf } from './prompts.ts';
import { refuseUnsupported, unsupportedInCompletions } from './unsupported.ts';

/** `POST /v1/completions`. */
export const completionsRoute: GenerateRoute<typeof completionBody> = {
  url: '/v1/completions',
  dialect: 'OpenAI',
  schema: {
    summary: 'Continue prompts',
    description: 'As OpenAI publishes it, with extensions of vLLM.',
    body: completionBody,
    response: { 200: completionReplies, '4xx': errorBody, '5xx': errorBody },
  },
  toRequest,
  isStream: ({ stream }) => stream ?? false,
  createReply: createCompletionReply,
  errors: completionErrors,
};

function toRequest(body: CompletionBody, { requestId, model }: RequestContext): GenerateRequest {
  checkModelName(body.model, model);
  refuseUnsupported(body, unsupportedInCompletions);
  const common = commonPartsOf(body);
  const maxTokens = body.max_tokens ?? defaultMaxTokens;
  const isEcho = body.echo === true;
  if (maxTokens === 0 && !isEcho) {
    throw new InvalidRequestError('max_tokens is 0; it must be at least 1, or echo must be true', 'max_tokens');
  }
  const numAnswers = answersPerPrompt(body);
  const isRanked = numAnswers > (body.n ?? 1);
  // The token of `max_tokens: 0` is not shown.
  const numNewTokens = Math.max(1, maxTokens);
  return {
    ...common,
    id: `cmpl-${requestId}`,
    prompts: promptsOf(body.prompt),
    n: numAnswers,
    addSpecialTokens: body.add_special_tokens ?? true,
    truncatePromptTokens: truncationOf(body, numNewTokens, model),
    maxNewTokens: body.max_tokens === undefined ? { atMost: numNewTokens } : numNewTokens,
    numLogprobs: body.logprobs ?? (isRanked ? 0 : undefined),
    numPromptLogprobs: promptLogprobsOf(body),
    repeatsPrompt: true,
    reportPrompt: common.reportPrompt || isEcho,
  };
}

/** @throws {InvalidRequestError} `best_of` does not go with other fields */
function answersPerPrompt({ n = 1, best_of: bestOf = n, stream }: CompletionBody): number {
  if (bestOf < n)
    throw new InvalidRequestError(`best_of is ${bestOf}; it must be at least n, which is ${n}`, 'best_of');
  if (bestOf > n && stream === true) {
    throw new InvalidRequestError(`best_of is ${bestOf}; with stream it must be n, which is ${n}`, 'best_of');
  }
  return bestOf;
}

/** As many as the two fields that report log probabilities of a prompt need. */
function promptLogprobsOf({ echo, logprobs, prompt_logprobs: own }: CompletionBody): number | undefined {
  if (echo !== true || logprobs === undefined) return own;
  return Math.max(logprobs, own ?? 0);
}
