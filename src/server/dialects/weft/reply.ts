import type { FinishedEvent, GenerationEvent, PromptEvent, TokenEvent } from '../../../core/index.ts';
import type { ReplyContext, ReplyFormat, SseMessage } from '../../dialect.ts';
import { weftErrors } from './errors.ts';
import type { DoneData, GenerateBody, GenerateReply, TokenData } from './schemas.ts';

type Context = ReplyContext<GenerateBody>;

/** Streams consist of `token` events and one `done` or `error` event. */
export function createReply(context: Context): ReplyFormat {
  return {
    messagesOf: (event) => (event.type === 'prompt' ? [] : [messageOf(event, context)]),
    bodyOf: ({ choices }) => {
      const [choice] = choices;
      if (choice === undefined) throw new Error('a request without an answer');
      return bodyOf(choice.tokens, doneData(choice.finished, context));
    },
  };
}

function messageOf(event: Exclude<GenerationEvent, PromptEvent>, context: Context): SseMessage {
  switch (event.type) {
    case 'token':
      return { event: 'token', data: tokenData(event) };
    case 'finished':
      return { event: 'done', data: doneData(event, context) };
    case 'error':
      return { event: 'error', data: weftErrors(event.error).body };
  }
}

function tokenData({ index, token, text }: TokenEvent): TokenData {
  return { index, token_id: token.id, text };
}

function bodyOf(tokens: readonly TokenEvent[], { id, model, ...done }: DoneData): GenerateReply {
  return {
    id,
    model,
    text: tokens.map(({ text }) => text).join(''),
    token_ids: tokens.map(({ token }) => token.id),
    ...done,
  };
}

function doneData({ finishReason, usage, timings }: FinishedEvent, { request, model, stopwatch }: Context): DoneData {
  const own = stopwatch.read();
  return {
    id: request.id,
    model: model.name,
    finish_reason: finishReason,
    usage: {
      prompt_tokens: usage.promptTokens,
      completion_tokens: usage.completionTokens,
      total_tokens: usage.promptTokens + usage.completionTokens,
    },
    timings: {
      receive_ms: round(own.receiveMs),
      validate_ms: round(own.validateMs),
      tokenize_ms: round(timings.tokenizeMs),
      queue_ms: round(timings.queueMs),
      prefill_ms: round(timings.prefillMs),
      decode_ms: round(timings.decodeMs),
      detokenize_ms: round(timings.detokenizeMs),
      write_ms: round(own.writeMs),
      total_ms: round(own.totalMs),
    },
  };
}

/** To the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
