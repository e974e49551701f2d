import Type, { type Static } from 'typebox';
import type { PromptEvent, ServedModel, TextCodec, TokenLogprobs } from '../../../core/index.ts';
import { nullable } from '../../nullable.ts';
import { nameById, type TokenName, tokenNames } from './token-names.ts';

const logprob = Type.Number({ description: 'natural logarithm of the probability; at least -9999' });

const tokenName = Type.String({ description: 'the text of the token, or its bytes if it is part of a character' });

export const completionLogprobs = Type.Object({
  tokens: Type.Array(tokenName),
  token_logprobs: Type.Array(nullable(logprob), { description: 'null for the first token of a prompt' }),
  top_logprobs: Type.Array(nullable(Type.Record(Type.String(), logprob)), {
    description:
      'the token and the most likely ones; of several with the same text, all but the first are named by their ids',
  }),
  text_offset: Type.Array(
    Type.Integer({ description: 'characters in front of the one that the token begins with or continues' }),
  ),
});

export const promptLogprobs = Type.Array(
  nullable(
    Type.Record(
      Type.String({ description: 'token id' }),
      Type.Object({ logprob, rank: Type.Integer({ minimum: 1 }), decoded_token: Type.String() }),
    ),
  ),
  { description: 'the token and the most likely ones; null for the first token' },
);

const namedToken = {
  token: tokenName,
  logprob,
  bytes: nullable(Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), { description: 'UTF-8' })),
};

export const chatLogprobs = Type.Object({
  content: Type.Array(Type.Object({ ...namedToken, top_logprobs: Type.Array(Type.Object(namedToken)) })),
  refusal: Type.Null(),
});

export type CompletionLogprobs = Static<typeof completionLogprobs>;
export type PromptLogprobs = Static<typeof promptLogprobs>;
type ChatLogprobs = Static<typeof chatLogprobs>;
type NamedToken = Static<typeof chatLogprobs>['content'][number]['top_logprobs'][number];

/** JSON has no infinity; OpenAI writes this instead. */
const minLogprob = -9999;

export function finite(value: number): number {
  return Math.max(value, minLogprob);
}

export function noCompletionLogprobs(): CompletionLogprobs {
  return { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
}

export interface LogprobsFormat {
  /** Likeliest tokens to report per token. */
  readonly numTop: number;
  readonly nameOf: TokenName;
}

/** How a request wants log probabilities to be written. */
export function logprobsFormat(
  { return_tokens_as_token_ids: byId }: { readonly return_tokens_as_token_ids?: boolean },
  numTop: number,
  model: ServedModel,
): LogprobsFormat {
  return { numTop, nameOf: byId === true ? nameById : tokenNames(model) };
}

interface TokenAt {
  readonly id: number;
  readonly logprobs: TokenLogprobs | undefined;
  readonly offset: number;
}

export function addCompletionLogprobs(
  lists: CompletionLogprobs,
  { id, logprobs, offset }: TokenAt,
  format: LogprobsFormat,
): void {
  lists.tokens.push(format.nameOf(id));
  lists.token_logprobs.push(logprobs === undefined ? null : finite(logprobs.logprob));
  lists.top_logprobs.push(logprobs === undefined ? null : topOf(id, logprobs, format));
  lists.text_offset.push(offset);
}

function topOf(
  id: number,
  { logprob, top }: TokenLogprobs,
  { numTop, nameOf }: LogprobsFormat,
): Record<string, number> {
  // Without a prototype, a token such as "__proto__" is a key like any other.
  const named: Record<string, number> = Object.create(null);
  named[nameOf(id)] = finite(logprob);
  for (const each of top.slice(0, numTop)) {
    if (each.id === id) continue;
    const name = nameOf(each.id);
    named[name in named ? nameById(each.id) : name] = finite(each.logprob);
  }
  return named;
}

/** As vLLM reports them. */
export function promptLogprobsOf(
  { tokenIds, logprobs = [] }: PromptEvent,
  { numTop, nameOf }: LogprobsFormat,
): PromptLogprobs {
  return tokenIds.map((id, index) => {
    const known = logprobs[index];
    if (known === undefined) return null;
    const entries: PromptLogprobs[number] = {};
    known.top.slice(0, numTop).forEach((each, place) => {
      entries[each.id] = { logprob: finite(each.logprob), rank: place + 1, decoded_token: nameOf(each.id) };
    });
    entries[id] = { logprob: finite(known.logprob), rank: known.rank, decoded_token: nameOf(id) };
    return entries;
  });
}

export function chatLogprobsOf(
  tokens: readonly { readonly id: number; readonly logprobs?: TokenLogprobs }[],
  codec: TextCodec | undefined,
  { numTop, nameOf }: LogprobsFormat,
): ChatLogprobs {
  const bytesOf = (id: number) => (codec === undefined ? null : [...codec.bytesOf(id)]);
  const named = (id: number, value: number): NamedToken => {
    return { token: nameOf(id), logprob: finite(value), bytes: bytesOf(id) };
  };
  const content: ChatLogprobs['content'] = [];
  for (const { id, logprobs } of tokens) {
    if (logprobs === undefined) continue;
    const top = logprobs.top.slice(0, numTop).map((each) => named(each.id, each.logprob));
    content.push({ token: nameOf(id), logprob: finite(logprobs.logprob), bytes: bytesOf(id), top_logprobs: top });
  }
  return { content, refusal: null };
}
