import type { GenerateRoute } from '../../dialect.ts';
import { errorBody } from '../../error-body.ts';
import { weftErrors } from './errors.ts';
import { createReply } from './reply.ts';
import { generateReplies } from './reply-schemas.ts';
import { generateBody } from './schemas.ts';
import { toRequest } from './to-request.ts';

/** `POST /generate` with `prompt`. */
export const generateRoute: GenerateRoute<typeof generateBody> = {
  url: '/generate',
  dialect: "Weft's own API",
  marker: 'prompt',
  schema: {
    summary: 'Continue a prompt',
    description:
      'With `"stream": true` or `Accept: text/event-stream`: one `token` event per token, then one `done` or `error` event. With `n` > 1 or a list of prompts, the body has a list `choices`; the events of a stream carry `choice`, and each answer ends with a `finished` event.',
    body: generateBody,
    response: { 200: generateReplies, '4xx': errorBody, '5xx': errorBody },
  },
  toRequest,
  isStream: ({ stream }) => stream,
  createReply,
  errors: weftErrors,
};
