import Type, { type Static } from 'typebox';
import { maxLogprobs, requestDefaults } from '../../../core/index.ts';
import { errorBody } from '../../error-body.ts';
import { nullable } from '../../nullable.ts';
import { usage } from '../../usage.ts';
import { generationFields, ignoredFields } from './generation-fields.ts';
import { completionLogprobs, promptLogprobs } from './logprobs.ts';
import { promptField } from './prompts.ts';
import { finishReason, head, stopReason, tokenIds } from './reply-fields.ts';
import { listUnsupported, unsupportedInCompletions } from './unsupported.ts';

/** What OpenAI publishes. */
export const defaultMaxTokens = 16;

export const completionBody = Type.Object(
  {
    prompt: promptField,
    ...generationFields,
    max_tokens: Type.Optional(
      Type.Integer({
        minimum: 0,
        default: defaultMaxTokens,
        description:
          'maximum number of new tokens; by default limited to what the context leaves; 0 is possible with echo and gives the prompt alone',
      }),
    ),
    best_of: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: requestDefaults.n,
        description: 'generate this many answers per prompt and reply with the n of the highest mean log probability',
      }),
    ),
    echo: Type.Optional(Type.Boolean({ default: false, description: 'the text begins with the prompt' })),
    logprobs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: maxLogprobs,
        description: 'report log probabilities of tokens, and of this many of the most likely ones',
      }),
    ),
    add_special_tokens: Type.Optional(
      Type.Boolean({ default: true, description: 'prompts that are text get the special tokens of the model' }),
    ),
    ...ignoredFields,
  },
  { description: listUnsupported(unsupportedInCompletions) },
);

export type CompletionBody = Static<typeof completionBody>;

const completionChoice = Type.Object({
  index: Type.Integer({ description: 'answer j to prompt i has the index i * n + j' }),
  text: Type.String(),
  logprobs: nullable(completionLogprobs),
  finish_reason: finishReason,
  stop_reason: stopReason,
  prompt_logprobs: nullable(promptLogprobs),
  prompt_token_ids: nullable(tokenIds),
  token_ids: nullable(tokenIds),
});

const completionHead = { ...head, object: Type.Literal('text_completion') };

export const completion = Type.Object({ ...completionHead, choices: Type.Array(completionChoice), usage });

const completionChunkChoice = Type.Object({
  index: Type.Integer(),
  text: Type.String({ description: 'empty while a character or a possible stop string is incomplete' }),
  logprobs: nullable(completionLogprobs),
  finish_reason: nullable(finishReason),
  stop_reason: stopReason,
  prompt_token_ids: Type.Optional(tokenIds),
  token_ids: Type.Optional(tokenIds),
});

export const completionChunk = Type.Object({
  ...completionHead,
  choices: Type.Array(completionChunkChoice),
  usage: Type.Optional(nullable(usage)),
});

/** The replies of `POST /v1/completions`: one body or a stream. */
export const completionReplies = {
  description: 'the whole reply, or its chunks',
  content: {
    'application/json': { schema: completion },
    'text/event-stream': {
      schema: Type.Union([completionChunk, errorBody], {
        description: 'a chunk per token, then `[DONE]`; an error may take the place of the remaining chunks',
      }),
    },
  },
};

export type Completion = Static<typeof completion>;
export type CompletionChoice = Static<typeof completionChoice>;
export type CompletionChunk = Static<typeof completionChunk>;
export type CompletionChunkChoice = Static<typeof completionChunkChoice>;
