import Type, { type Static } from 'typebox';
import { maxLogprobs, requestLimits } from '../../../core/index.ts';
import { nullable } from '../../nullable.ts';
import { frequencyPenalty, numLogprobs, repetitionPenalty, topK, topP, typicalP, word } from '../../sampling-fields.ts';

const { maxStops } = requestLimits;

/** New tokens if a request does not say how many, or what the context leaves if that is less. */
export const tgiMaxNewTokens = 1024;

export const parameters = Type.Object(
  {
    do_sample: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'draw at random instead of taking the most likely token; temperature, top_k, top_p or typical_p turn this on as well, and so does leaving out parameters',
      }),
    ),
    temperature: Type.Optional(
      Type.Number({
        minimum: 0,
        default: 1,
        description: 'divides the logits when sampling; 0, which TGI refuses, is greedy',
      }),
    ),
    top_k: topK({ minimum: 1 }),
    top_p: topP({ off: '1, which TGI refuses, turns it off' }),
    typical_p: typicalP({ off: '1, which TGI refuses, turns it off' }),
    repetition_penalty: repetitionPenalty,
    frequency_penalty: frequencyPenalty,
    seed: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'the same seed gives the same tokens; by default random. Above 2^53, the last digits are lost',
      }),
    ),
    best_of: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: 1,
        description:
          'generate this many answers and reply with the one of the highest mean log probability; at most the batch size. Needs sampling, and neither a seed nor a stream',
      }),
    ),
    max_new_tokens: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: tgiMaxNewTokens,
        description: 'maximum number of new tokens; by default limited to what the context leaves',
      }),
    ),
    stop: Type.Optional(
      Type.Array(word, {
        maxItems: maxStops,
        description: `generation ends after the first of these strings, which stays in the text; TGI allows 4, Weft ${maxStops}`,
      }),
    ),
    truncate: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'keep only this many tokens at the end of the inputs; less than the context',
      }),
    ),
    return_full_text: Type.Optional(
      Type.Boolean({ default: false, description: 'begin generated_text with the inputs' }),
    ),
    details: Type.Optional(Type.Boolean({ default: false, description: 'report tokens and how generation ended' })),
    decoder_input_details: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'report details, with the tokens of the inputs; not when streaming',
      }),
    ),
    top_n_tokens: numLogprobs(
      `with details or a stream, report this many of the most likely tokens at each position; TGI allows 5, Weft ${maxLogprobs}`,
    ),
  },
  {
    description:
      'every parameter is optional; null means absent. watermark, grammar and adapter_id are refused, since they would change the answer; any other parameter is ignored',
  },
);

export const generateBody = Type.Object(
  {
    inputs: Type.String({ minLength: 1, description: 'the text to continue' }),
    parameters: Type.Optional(parameters),
    stream: Type.Optional(
      Type.Boolean({ default: false, description: 'reply with server-sent events; /generate_stream always does' }),
    ),
  },
  { description: 'other fields are ignored' },
);

export type Parameters = Static<typeof parameters>;
export type GenerateBody = Static<typeof generateBody>;

const logprob = Type.Number({ description: "in the model's own distribution, before penalties and temperature" });

export const token = Type.Object({
  id: Type.Integer(),
  text: Type.String({
    description: 'what the token adds to the text; the name of a special token, which adds nothing',
  }),
  logprob,
  special: Type.Boolean({ description: 'leave the text of special tokens out when putting texts together' }),
});

const prefillToken = Type.Object({
  id: Type.Integer(),
  text: Type.String(),
  logprob: nullable(logprob, { description: 'null for the first token, which nothing predicts' }),
});

const ending = {
  finish_reason: Type.Enum(['length', 'eos_token', 'stop_sequence']),
  generated_tokens: Type.Integer(),
  seed: nullable(Type.Integer(), { description: 'null without sampling' }),
};

const sequence = {
  ...ending,
  prefill: Type.Array(prefillToken, { description: 'empty without decoder_input_details' }),
  tokens: Type.Array(token),
  top_tokens: Type.Optional(Type.Array(Type.Array(token))),
};

export const bestOfSequence = Type.Object({ generated_text: Type.String(), ...sequence });

export const generateReply = Type.Object({
  generated_text: Type.String(),
  details: Type.Optional(
    Type.Object({
      ...sequence,
      best_of_sequences: Type.Optional(
        Type.Array(bestOfSequence, { description: 'the other answers, if best_of > 1' }),
      ),
    }),
  ),
});

/** The data of the events of a stream. */
export const streamData = Type.Object({
  index: Type.Integer({ description: 'from 1' }),
  token,
  top_tokens: Type.Optional(Type.Array(token)),
  generated_text: nullable(Type.String(), { description: 'the whole text, in the last event' }),
  details: nullable(Type.Object({ ...ending, input_length: Type.Integer() }), {
    description: 'in the last event, if asked for',
  }),
});

export const errorReply = Type.Object({
  error: Type.String(),
  error_type: Type.String({
    description: 'validation, generation, overloaded, incomplete_generation or a code of Weft',
  }),
});

export type Token = Static<typeof token>;
export type PrefillToken = Static<typeof prefillToken>;
export type FinishReason = Static<typeof ending.finish_reason>;
export type SequenceDetails = Omit<BestOfSequence, 'generated_text'>;
export type BestOfSequence = Static<typeof bestOfSequence>;
export type GenerateReply = Static<typeof generateReply>;
export type StreamData = Static<typeof streamData>;
export type ErrorReply = Static<typeof errorReply>;

const eventStream = {
  schema: Type.Union([streamData, errorReply], { description: 'one event per token, or an error at the end' }),
};

const errors = {
  422: errorReply,
  424: errorReply,
  429: errorReply,
  500: errorReply,
  503: errorReply,
  '4xx': errorReply,
  '5xx': errorReply,
};

export const streamReplies = {
  200: { description: 'the events', content: { 'text/event-stream': eventStream } },
  ...errors,
};

export const generateReplies = {
  200: {
    description: 'the whole reply, or its events',
    content: { 'application/json': { schema: generateReply }, 'text/event-stream': eventStream },
  },
  ...errors,
};

export const listReplies = {
  200: {
    description: 'a list of the whole reply, or its events',
    content: {
      'application/json': { schema: Type.Array(generateReply, { minItems: 1, maxItems: 1 }) },
      'text/event-stream': eventStream,
    },
  },
  ...errors,
};
