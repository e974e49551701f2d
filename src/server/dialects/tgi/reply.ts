import type { FinishedEvent, GenerationEvent, TokenEvent } from '../../../core/index.ts';
import type { Choice, ReplyContext, ReplyFormat, SseMessage, WholeReply } from '../../dialect.ts';
import { likeliest } from '../../likeliest.ts';
import { tgiErrors } from './errors.ts';
import { timeHeaders } from './headers.ts';
import type {
  BestOfSequence,
  FinishReason,
  GenerateBody,
  GenerateReply,
  SequenceDetails,
  StreamData,
} from './schemas.ts';
import { hasDetails } from './to-request.ts';
import { answerToken, prefillTokens, topTokens } from './tokens.ts';

/** What the replies of a request need. */
type Context = ReplyContext<GenerateBody>;

export function createReply(context: Context): ReplyFormat {
  const stream = new TokenStream(context);
  return {
    messagesOf: (event) => stream.messagesOf(event),
    bodyOf: (reply) => bodyOf(reply, context),
    headersOf: (reply) => timeHeaders(bestOf(reply), context),
  };
}

/** As {@link createReply}, with the reply in a list. */
export function createListReply(context: Context): ReplyFormat {
  const format = createReply(context);
  return { ...format, bodyOf: (reply) => [format.bodyOf(reply)] };
}

/** The events of a stream: one per token. The last token waits for the end of the answer, which follows it at once. */
class TokenStream {
  readonly #context: Context;
  readonly #showsTop: boolean;
  #text: string;
  #last: StreamData | undefined;

  constructor(context: Context) {
    this.#context = context;
    this.#showsTop = (context.request.numLogprobs ?? 0) > 0;
    this.#text = promptText(context);
  }

  messagesOf(event: GenerationEvent): readonly SseMessage[] {
    switch (event.type) {
      case 'prompt':
        return [];
      case 'token': {
        this.#text += event.text;
        const data = this.#dataOf(event);
        if (!event.isLast) return [{ data }];
        this.#last = data;
        return [];
      }
      case 'finished':
        return [{ data: { ...this.#last, generated_text: this.#text, details: this.#detailsOf(event) } }];
      case 'error':
        return [{ data: tgiErrors(event.error).body }];
    }
  }

  #dataOf(event: TokenEvent): StreamData {
    const { codec } = this.#context.model;
    const token = answerToken(event, codec);
    const index = event.index + 1;
    if (!this.#showsTop) return { index, token, generated_text: null, details: null };
    return { index, token, top_tokens: topTokens(event.token.logprobs, codec), generated_text: null, details: null };
  }

  #detailsOf(finished: FinishedEvent): StreamData['details'] {
    if (!this.#context.body.parameters?.details) return null;
    return { ...endingOf(finished, this.#context), input_length: finished.usage.promptTokens };
  }
}

function bodyOf(reply: WholeReply, context: Context): GenerateReply {
  const best = bestOf(reply);
  const generated_text = textOf(best, context);
  if (!hasDetails(context.body.parameters ?? {})) return { generated_text };
  const { n } = context.request;
  const others = reply.choices.filter((choice) => choice !== best);
  const details = {
    ...detailsOf(best, { reply, context }),
    ...(n > 1 && { best_of_sequences: others.map((choice) => sequenceOf(choice, { reply, context })) }),
  };
  return { generated_text, details };
}

interface Whole {
  readonly reply: WholeReply;
  readonly context: Context;
}

function sequenceOf(choice: Choice, whole: Whole): BestOfSequence {
  return { generated_text: textOf(choice, whole.context), ...detailsOf(choice, whole) };
}

function detailsOf({ tokens, finished }: Choice, { reply, context }: Whole): SequenceDetails {
  const { request, model } = context;
  const { codec } = model;
  const [prompt] = reply.prompts;
  return {
    ...endingOf(finished, context),
    prefill: prompt === undefined ? [] : prefillTokens(prompt, codec),
    tokens: tokens.map((event) => answerToken(event, codec)),
    ...(request.numLogprobs && { top_tokens: tokens.map(({ token }) => topTokens(token.logprobs, codec)) }),
  };
}

function endingOf({ finishReason, stopReason, usage }: FinishedEvent, { request: { sampling } }: Context) {
  return {
    finish_reason: finishReasonOf(finishReason, stopReason),
    generated_tokens: usage.completionTokens,
    seed: sampling.temperature === 0 ? null : sampling.seed,
  };
}

function finishReasonOf(reason: FinishedEvent['finishReason'], stopReason: FinishedEvent['stopReason']): FinishReason {
  if (reason === 'length') return 'length';
  return typeof stopReason === 'string' ? 'stop_sequence' : 'eos_token';
}

function textOf({ tokens }: Choice, context: Context): string {
  return promptText(context) + tokens.map(({ text }) => text).join('');
}

/** The inputs, if the text is to begin with them. */
function promptText({ body: { inputs, parameters } }: Context): string {
  return parameters?.return_full_text ? inputs : '';
}

function bestOf({ choices }: WholeReply): Choice {
  const [best] = likeliest(choices, 1);
  if (best === undefined) throw new Error('a request without an answer');
  return best;
}
