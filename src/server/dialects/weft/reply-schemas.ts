import Type, { type Static } from 'typebox';
import { completionReasons } from '../../../core/index.ts';
import { errorBody } from '../../error-body.ts';
import { nullable } from '../../nullable.ts';
import { usage } from '../../usage.ts';

const finishReason = Type.Enum([...completionReasons]);

const timings = Type.Object(
  {
    receive_ms: Type.Number({ description: 'from the headers of the request to the end of its body' }),
    validate_ms: Type.Number({ description: 'validating the request' }),
    tokenize_ms: Type.Number({ description: 'tokenizing the prompt' }),
    queue_ms: Type.Number({ description: 'waiting for the first step of the engine' }),
    prefill_ms: Type.Number({ description: 'from the first step to the first token' }),
    decode_ms: Type.Number({ description: 'from the first token to the last' }),
    detokenize_ms: Type.Number({ description: 'turning tokens into text, while later tokens are computed' }),
    write_ms: Type.Number({
      description:
        'writing events and waiting for the client to take them, while later tokens are computed; 0 without a stream',
    }),
    total_ms: Type.Number({ description: 'from the headers of the request to the end of the reply' }),
  },
  { description: 'where the time went, in milliseconds; with several answers, that of the one that took longest' },
);

const tokenLogprobs = Type.Object(
  {
    logprob: Type.Number({ description: 'of the token itself' }),
    rank: Type.Integer({ description: 'its place among all tokens by probability, from 1' }),
    top: Type.Array(Type.Object({ token_id: Type.Integer(), logprob: Type.Number() }), {
      description: 'the most likely tokens, the most likely first',
    }),
  },
  {
    description:
      "natural logarithms of probabilities in the model's own distribution: before penalties, masks and temperature",
  },
);

const prompt = Type.Object(
  {
    token_ids: Type.Array(Type.Integer()),
    logprobs: Type.Array(nullable(tokenLogprobs), {
      description: 'one per token; null for the first, which nothing predicts',
    }),
  },
  { description: 'if prompt_logprobs is given' },
);

const choiceIndex = Type.Integer({
  description: 'from 0: all answers to the first prompt, then those to the second and so on',
});

/** The data of the SSE event `token`. */
export const tokenData = Type.Object({
  choice: Type.Optional(choiceIndex),
  index: Type.Integer({ description: 'of the token in its answer, from 0' }),
  token_id: Type.Integer(),
  text: Type.String({ description: 'empty while a character or a possible stop string is incomplete' }),
  logprobs: Type.Optional(tokenLogprobs),
});

/** The data of the SSE event `prompt`. */
export const promptData = Type.Object({
  prompt: Type.Optional(Type.Integer({ description: 'index among the prompts, from 0' })),
  ...prompt.properties,
});

/** The data of the SSE event `finished`, which a request with several answers has for each of them. */
export const finishedData = Type.Object({ choice: choiceIndex, finish_reason: finishReason, usage });

/** The data of the SSE event `done`. */
export const doneData = Type.Object({
  id: Type.String(),
  model: Type.String(),
  finish_reason: Type.Optional(finishReason),
  usage,
  timings,
});

const answer = {
  text: Type.String(),
  token_ids: Type.Array(Type.Integer()),
  logprobs: Type.Optional(Type.Array(tokenLogprobs, { description: 'one per new token, if logprobs is given' })),
  finish_reason: finishReason,
  usage,
};

export const generateReply = Type.Object({
  id: Type.String(),
  model: Type.String(),
  prompt: Type.Optional(prompt),
  ...answer,
  timings,
});

export const choice = Type.Object({ index: choiceIndex, ...answer });

export const choicesReply = Type.Object({
  id: Type.String(),
  model: Type.String(),
  prompts: Type.Optional(Type.Array(prompt)),
  choices: Type.Array(choice),
  usage,
  timings,
});

/** The replies of `POST /generate`: one body or a stream. */
export const generateReplies = {
  description: 'the whole reply, or its events',
  content: {
    'application/json': {
      schema: Type.Union([generateReply, choicesReply], {
        description: 'with n > 1 or a list of prompts, the reply has `choices`',
      }),
    },
    'text/event-stream': {
      schema: Type.Union([promptData, tokenData, finishedData, doneData, errorBody], {
        description:
          '`prompt` events if prompt_logprobs is given, `token` events, with several answers a `finished` event for each, then one `done` or `error` event',
      }),
    },
  },
};

export type LogprobsData = Static<typeof tokenLogprobs>;
export type PromptReply = Static<typeof prompt>;
export type TokenData = Static<typeof tokenData>;
export type FinishedData = Static<typeof finishedData>;
export type DoneData = Static<typeof doneData>;
export type ChoiceBody = Omit<ChoiceReply, 'index'>;
export type ChoiceReply = Static<typeof choice>;
export type GenerateReply = Static<typeof generateReply>;
export type ChoicesReply = Static<typeof choicesReply>;
