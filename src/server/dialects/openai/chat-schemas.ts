import Type, { type Static } from 'typebox';
import { maxLogprobs } from '../../../core/index.ts';
import { errorBody } from '../../error-body.ts';
import { nullable } from '../../nullable.ts';
import { usage } from '../../usage.ts';
import { templateFields } from './chat-prompt.ts';
import { generationFields, ignoredFields, noEffect } from './generation-fields.ts';
import { chatLogprobs, promptLogprobs } from './logprobs.ts';
import { messagesField } from './messages.ts';
import { finishReason, head, stopReason, tokenIds } from './reply-fields.ts';
import { listUnsupported, unsupportedInChat } from './unsupported.ts';

export const chatBody = Type.Object(
  {
    messages: messagesField,
    ...generationFields,
    max_completion_tokens: Type.Optional(
      Type.Integer({ minimum: 1, description: 'maximum number of new tokens; by default what the context leaves' }),
    ),
    max_tokens: Type.Optional(
      Type.Integer({ minimum: 1, description: 'older name of max_completion_tokens, which wins if both are set' }),
    ),
    logprobs: Type.Optional(
      Type.Boolean({ default: false, description: 'report log probabilities of the tokens of the answer' }),
    ),
    top_logprobs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: maxLogprobs,
        default: 0,
        description: 'report log probabilities of this many of the most likely tokens, too; only if logprobs is true',
      }),
    ),
    echo: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'the answer begins with the last message if both have the same role',
      }),
    ),
    ...templateFields,
    ...ignoredFields,
    parallel_tool_calls: Type.Optional(Type.Boolean({ description: noEffect })),
    verbosity: Type.Optional(Type.String({ description: noEffect })),
    prediction: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: noEffect })),
  },
  { description: listUnsupported(unsupportedInChat) },
);

export type ChatBody = Static<typeof chatBody>;

const role = Type.String({ description: '`assistant`, or the role of the last message if that is continued' });

const chatChoice = Type.Object({
  index: Type.Integer(),
  message: Type.Object({ role, content: Type.String(), refusal: Type.Null() }),
  logprobs: nullable(chatLogprobs),
  finish_reason: finishReason,
  stop_reason: stopReason,
  token_ids: nullable(tokenIds),
});

export const chatCompletion = Type.Object({
  ...head,
  object: Type.Literal('chat.completion'),
  choices: Type.Array(chatChoice),
  usage,
  prompt_logprobs: nullable(promptLogprobs),
  prompt_token_ids: nullable(tokenIds),
});

const chatChunkChoice = Type.Object({
  index: Type.Integer(),
  delta: Type.Object(
    { role: Type.Optional(role), content: Type.Optional(Type.String()) },
    { description: 'the role comes with the first token; with the finish reason, there is neither' },
  ),
  logprobs: nullable(chatLogprobs),
  finish_reason: nullable(finishReason),
  stop_reason: stopReason,
  token_ids: Type.Optional(tokenIds),
});

export const chatChunk = Type.Object({
  ...head,
  object: Type.Literal('chat.completion.chunk'),
  choices: Type.Array(chatChunkChoice),
  usage: Type.Optional(nullable(usage)),
  prompt_token_ids: Type.Optional(tokenIds),
});

/** The replies of `POST /v1/chat/completions`: one body or a stream. */
export const chatReplies = {
  description: 'the whole reply, or its chunks',
  content: {
    'application/json': { schema: chatCompletion },
    'text/event-stream': {
      schema: Type.Union([chatChunk, errorBody], {
        description:
          'a chunk per token, one per finish reason, then `[DONE]`; an error may take the place of the remaining chunks',
      }),
    },
  },
};

export type ChatCompletion = Static<typeof chatCompletion>;
export type ChatChoice = Static<typeof chatChoice>;
export type ChatChunk = Static<typeof chatChunk>;
export type ChatChunkChoice = Static<typeof chatChunkChoice>;
