import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import { checkWellFormed, InvalidRequestError, type ServedModel, type TextCodec } from '../../../core/index.ts';
import { clientGone } from '../../client-gone.ts';
import { errorBody } from '../../error-body.ts';
import { nullable } from '../../nullable.ts';
import { dropNulls } from '../../nulls.ts';
import { renderChat, templateFields } from './chat-prompt.ts';
import { messagesField } from './messages.ts';
import { checkModelName } from './model-name.ts';

const modelField = Type.Optional(Type.String({ description: 'a name that the server gives the model' }));

const tokenizeBody = Type.Object(
  {
    model: modelField,
    prompt: Type.Optional(Type.String({ description: 'a text, of any length' })),
    messages: Type.Optional(messagesField),
    ...templateFields,
    add_special_tokens: Type.Optional(
      Type.Boolean({
        description: 'add the special tokens of the model; by default true for a prompt, false for messages',
      }),
    ),
    return_token_strs: Type.Optional(
      Type.Boolean({ default: false, description: 'report how the vocabulary spells the tokens' }),
    ),
  },
  { description: 'either a prompt or messages' },
);

const tokenizeReply = Type.Object({
  count: Type.Integer(),
  max_model_len: nullable(Type.Integer({ description: 'tokens of prompt and answer together' })),
  tokens: Type.Array(Type.Integer()),
  token_strs: nullable(Type.Array(Type.String())),
});

const detokenizeBody = Type.Object({ model: modelField, tokens: Type.Array(Type.Integer({ minimum: 0 })) });

const detokenizeReply = Type.Object({ prompt: Type.String() });

/** `POST /tokenize` and `POST /detokenize`. */
export const tokenizeRoutes: FastifyPluginAsyncTypebox<{ readonly model: ServedModel }> = async (app, { model }) => {
  app.post(
    '/tokenize',
    {
      schema: {
        summary: 'The tokens of a text or a chat',
        body: tokenizeBody,
        response: { 200: tokenizeReply, '4xx': errorBody, '5xx': errorBody },
      },
      preValidation: async ({ body }) => dropNulls(body, tokenizeBody),
    },
    async ({ body, raw }, reply): Promise<Static<typeof tokenizeReply>> => {
      checkModelName(body.model, model);
      const codec = codecOf(model, body.messages === undefined ? 'prompt' : 'messages');
      const signal = clientGone(raw, reply.raw);
      const text = await textOf(body, model, signal);
      const addSpecialTokens = body.add_special_tokens ?? body.messages === undefined;
      const tokens = await codec.encode(text, { addSpecialTokens, signal, goesLast: true });
      return {
        count: tokens.length,
        max_model_len: model.maxModelLen ?? null,
        tokens,
        token_strs: body.return_token_strs === true ? tokens.map((id) => codec.spellingOf(id)) : null,
      };
    },
  );

  app.post(
    '/detokenize',
    {
      schema: {
        summary: 'The text of tokens',
        body: detokenizeBody,
        response: { 200: detokenizeReply, '4xx': errorBody, '5xx': errorBody },
      },
      preValidation: async ({ body }) => dropNulls(body, detokenizeBody),
    },
    async ({ body: { model: name, tokens } }): Promise<Static<typeof detokenizeReply>> => {
      checkModelName(name, model);
      checkTokens(tokens, model);
      return { prompt: codecOf(model, 'tokens').decode(tokens, { skipSpecialTokens: false }) };
    },
  );
};

/** @throws {InvalidRequestError} there is none for this field */
function codecOf({ codec }: ServedModel, field: 'prompt' | 'messages' | 'tokens'): TextCodec {
  if (codec !== undefined) return codec;
  const action = field === 'tokens' ? 'decoded' : 'tokenized';
  throw new InvalidRequestError(`${field} cannot be ${action}: this model has no tokenizer`, field);
}

async function textOf(body: Static<typeof tokenizeBody>, model: ServedModel, signal: AbortSignal): Promise<string> {
  const { prompt, messages } = body;
  if (prompt !== undefined && messages !== undefined) {
    throw new InvalidRequestError('prompt and messages are both set; only one of them can be', 'messages');
  }
  if (messages !== undefined) return renderChat({ ...body, messages }, model, signal);
  if (prompt === undefined)
    throw new InvalidRequestError('prompt is missing; either it or messages must be set', 'prompt');
  checkWellFormed('prompt', prompt);
  return prompt;
}

/** @throws {InvalidRequestError} the vocabulary has no such token */
function checkTokens(tokens: readonly number[], { vocabSize }: ServedModel): void {
  if (vocabSize === undefined) return;
  const index = tokens.findIndex((id) => id >= vocabSize);
  if (index < 0) return;
  throw new InvalidRequestError(
    `tokens[${index}] is ${tokens[index]}, which is out of vocabulary; the ${vocabSize} token ids of this model are 0 to ${vocabSize - 1}`,
    'tokens',
  );
}
