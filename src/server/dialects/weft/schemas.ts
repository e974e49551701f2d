import Type, { type Static } from 'typebox';
import { completionReasons, defaultMaxNewTokens, greedy } from '../../../core/index.ts';
import { errorBody } from '../../error-body.ts';

const maxStopLength = 256;
const maxStops = 16;

const stopString = Type.String({ minLength: 1, maxLength: maxStopLength });

/** The values of fields that the body leaves out. */
export const bodyDefaults = {
  temperature: greedy.temperature,
  top_k: -1,
  top_p: greedy.topP,
  ignore_eos: false,
} as const;

export const generateBody = Type.Object(
  {
    prompt: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })], {
      description: 'a non-empty string, or a non-empty list of token ids',
    }),
    max_new_tokens: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: defaultMaxNewTokens,
        description: 'maximum number of new tokens; by default limited to what the context leaves',
      }),
    ),
    temperature: Type.Optional(
      Type.Number({ minimum: 0, default: bodyDefaults.temperature, description: '0 is greedy' }),
    ),
    top_k: Type.Optional(
      Type.Integer({
        minimum: -1,
        default: bodyDefaults.top_k,
        description: 'sample among this many of the likeliest tokens; 0 or -1 is off',
      }),
    ),
    top_p: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        default: bodyDefaults.top_p,
        description: 'sample among the likeliest tokens with this total probability; 1 is off',
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
      Type.Boolean({ description: 'reply with server-sent events; by default if Accept is text/event-stream' }),
    ),
  },
  { additionalProperties: false, description: 'every field except the prompt is optional; null means absent' },
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

/** The replies of `POST /generate`: one body or a stream. */
export const generateReplies = {
  description: 'the whole reply, or its events',
  content: {
    'application/json': { schema: generateReply },
    'text/event-stream': {
      schema: Type.Union([tokenData, doneData, errorBody], {
        description: '`token` events, then one `done` or `error` event',
      }),
    },
  },
};

export type TokenData = Static<typeof tokenData>;
export type DoneData = Static<typeof doneData>;
export type GenerateReply = Static<typeof generateReply>;
