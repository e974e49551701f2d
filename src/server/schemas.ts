import Type, { type Static } from 'typebox';
import { completionReasons, defaultMaxNewTokens, errorTable } from '../core/index.ts';

const maxStopLength = 256;
const maxStops = 16;

const stopString = Type.String({ minLength: 1, maxLength: maxStopLength });

/** What a field is where the body leaves it out. */
export const bodyDefaults = { temperature: 0, top_k: -1, top_p: 1, ignore_eos: false } as const;

export const generateBody = Type.Object(
  {
    prompt: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })], {
      description: 'text that is not empty, or a list of token ids, taken as they are',
    }),
    max_new_tokens: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: defaultMaxNewTokens,
        description: 'at most this many tokens; by default no more than the context leaves',
      }),
    ),
    temperature: Type.Optional(
      Type.Number({ minimum: 0, default: bodyDefaults.temperature, description: '0 is greedy' }),
    ),
    top_k: Type.Optional(
      Type.Integer({
        minimum: -1,
        default: bodyDefaults.top_k,
        description: 'sample among so many; 0 or -1 is off',
      }),
    ),
    top_p: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        default: bodyDefaults.top_p,
        description: 'sample among the likeliest that together hold this probability; 1 is off',
      }),
    ),
    seed: Type.Optional(
      Type.Integer({
        description: 'the same seed gives the same tokens; by default random',
      }),
    ),
    stop: Type.Optional(
      Type.Union([stopString, Type.Array(stopString, { maxItems: maxStops })], {
        description: `text to stop in front of: a string of 1 to ${maxStopLength} characters, or a list of up to ${maxStops} of them`,
      }),
    ),
    ignore_eos: Type.Optional(
      Type.Boolean({ default: bodyDefaults.ignore_eos, description: 'keep going past the end-of-sequence token' }),
    ),
    stream: Type.Optional(
      Type.Boolean({ description: 'answer with server-sent events; by default if Accept is text/event-stream' }),
    ),
  },
  { additionalProperties: false, description: 'every field but the prompt may be left out; null means the same' },
);

export type GenerateBody = Static<typeof generateBody>;

const finishReason = Type.Enum([...completionReasons]);

const usage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
});

const timings = Type.Object(
  {
    receive_ms: Type.Number({ description: 'from the head of the request to its whole body' }),
    validate_ms: Type.Number({ description: 'checking it' }),
    tokenize_ms: Type.Number({ description: 'turning the prompt into tokens' }),
    queue_ms: Type.Number({ description: 'waiting for the first step' }),
    prefill_ms: Type.Number({ description: 'from there to the first token' }),
    decode_ms: Type.Number({ description: 'from there to the last token' }),
    detokenize_ms: Type.Number({ description: 'turning tokens into text, while later ones are computed' }),
    write_ms: Type.Number({
      description:
        'writing events and waiting for the client to take them, while later tokens are computed; 0 without a stream',
    }),
    total_ms: Type.Number({ description: 'from the head of the request to the end of the answer' }),
  },
  { description: 'where the time went, in milliseconds' },
);

/** The data of the SSE event `token`. */
export const tokenData = Type.Object({ index: Type.Integer(), token_id: Type.Integer(), text: Type.String() });

/** The data of the SSE event `done`. */
export const doneData = Type.Object({
  id: Type.String(),
  model: Type.String(),
  finish_reason: finishReason,
  usage,
  timings,
});

export const generateReply = Type.Object({
  id: Type.String(),
  model: Type.String(),
  text: Type.String(),
  token_ids: Type.Array(Type.Integer()),
  finish_reason: finishReason,
  usage,
  timings,
});

/** The body of every refusal, and the data of the SSE event `error`. */
export const errorBody = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.Enum([...new Set(Object.values(errorTable).map(({ type }) => type))]),
    param: Type.Union([Type.String(), Type.Null()], { description: 'the field at fault' }),
    code: Type.Enum(Object.keys(errorTable)),
  }),
});

/** What `POST /generate` answers, in either form. */
export const generateReplies = {
  description: 'the whole answer, or its events',
  content: {
    'application/json': { schema: generateReply },
    'text/event-stream': {
      schema: Type.Union([tokenData, doneData, errorBody], {
        description: '`token` events, then one `done` or `error` event',
      }),
    },
  },
};

export const statusReply = Type.Object({ status: Type.String() });

export const healthReply = Type.Object({
  status: Type.Enum(['ready', 'unavailable']),
  model: Type.String(),
  running: Type.Integer({ description: 'sequences in the batch' }),
  waiting: Type.Integer({ description: 'requests in the queue' }),
  free_slots: Type.Integer(),
  steps: Type.Integer({ description: 'engine steps since the start' }),
});

export type TokenData = Static<typeof tokenData>;
export type DoneData = Static<typeof doneData>;
export type GenerateReply = Static<typeof generateReply>;
export type ErrorBody = Static<typeof errorBody>;
