import type { GenerateRoute } from '../../dialect.ts';
import { tgiErrors } from './errors.ts';
import { createListReply, createReply } from './reply.ts';
import { generateBody, generateReplies, listReplies, streamReplies } from './schemas.ts';
import { toRequest } from './to-request.ts';

type TgiRoute = GenerateRoute<typeof generateBody>;

const dialect = { dialect: 'TGI', marker: 'inputs' } as const;

const description =
  'As in Text Generation Inference. A stream has one event per token, without names; the last one has the whole text.';

/** `POST /generate` with `inputs`. */
export const generateRoute: TgiRoute = {
  url: '/generate',
  ...dialect,
  schema: { summary: 'Continue a text (TGI)', description, body: generateBody, response: generateReplies },
  toRequest: (body, context) => toRequest(body, context, { isStream: isStream(body) }),
  isStream,
  createReply,
  errors: tgiErrors,
};

/** `POST /generate_stream`. */
export const streamRoute: TgiRoute = {
  url: '/generate_stream',
  ...dialect,
  schema: { summary: 'Continue a text as a stream (TGI)', description, body: generateBody, response: streamReplies },
  toRequest: (body, context) => toRequest(body, context, { isStream: true }),
  isStream: () => true,
  createReply,
  errors: tgiErrors,
};

/** `POST /`, which replies with a list. */
export const rootRoute: TgiRoute = {
  ...generateRoute,
  url: '/',
  schema: { summary: 'Continue a text (TGI, reply in a list)', description, body: generateBody, response: listReplies },
  createReply: createListReply,
};

function isStream({ stream = false }: { readonly stream?: boolean }): boolean {
  return stream;
}
