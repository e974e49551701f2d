import { randomInt } from 'node:crypto';
import { type GenerateRequest, greedy, InvalidRequestError, requestDefaults } from '../../../core/index.ts';
import type { GenerateRoute, RequestContext } from '../../dialect.ts';
import { errorBody } from '../../error-body.ts';
import { weftErrors } from './errors.ts';
import { createReply } from './reply.ts';
import { bodyDefaults, type GenerateBody, generateBody, generateReplies } from './schemas.ts';

/** `POST /generate`. */
export const generateRoute: GenerateRoute<typeof generateBody> = {
  url: '/generate',
  dialect: "Weft's own API",
  marker: 'prompt',
  schema: {
    summary: 'Continue a prompt',
    description:
      'With `"stream": true` or `Accept: text/event-stream`: one `token` event per token, then one `done` or `error` event.',
    body: generateBody,
    response: { 200: generateReplies, '4xx': errorBody, '5xx': errorBody },
  },
  toRequest,
  isStream: ({ stream }) => stream,
  createReply,
  errors: weftErrors,
};

function toRequest(body: GenerateBody, { requestId }: RequestContext): GenerateRequest {
  const { temperature, top_k: topK, top_p: topP, ignore_eos: ignoreEos } = { ...bodyDefaults, ...body };
  const { stop = [] } = body;
  if ([stop].flat().some((text) => !text.isWellFormed())) {
    throw new InvalidRequestError('stop contains half of a surrogate pair; it must be well-formed text', 'stop');
  }
  return {
    ...requestDefaults,
    id: `gen-${requestId}`,
    prompts: [body.prompt],
    maxNewTokens: body.max_new_tokens,
    stop: typeof stop === 'string' ? [stop] : stop,
    ignoreEos,
    sampling: { ...greedy, temperature, topK: Math.max(0, topK), topP, seed: body.seed ?? randomInt(2 ** 47) },
  };
}
