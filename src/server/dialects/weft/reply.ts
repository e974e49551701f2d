import type {
  FinishedEvent,
  GenerationEvent,
  PromptEvent,
  Timings,
  TokenEvent,
  TokenLogprobs,
} from '../../../core/index.ts';
import type { Choice, ReplyContext, ReplyFormat, SseMessage, WholeReply } from '../../dialect.ts';
import { usageOf } from '../../usage.ts';
import { weftErrors } from './errors.ts';
import type {
  ChoiceBody,
  ChoicesReply,
  DoneData,
  FinishedData,
  GenerateReply,
  LogprobsData,
  PromptReply,
  TokenData,
} from './reply-schemas.ts';
import type { GenerateBody } from './schemas.ts';
import { hasChoices } from './to-request.ts';

type Context = ReplyContext<GenerateBody>;

/** One answer, or a list of choices if the request can have several. */
export function createReply(context: Context): ReplyFormat {
  return hasChoices(context.body) ? new ChoicesFormat(context) : singleFormat(context);
}

function singleFormat(context: Context): ReplyFormat {
  const { numLogprobs } = context.request;
  const dataOf = numLogprobs === undefined ? plainTokenData : tokenData;
  return {
    messagesOf: (event) => {
      switch (event.type) {
        case 'token':
          return [{ event: 'token', data: dataOf(event) }];
        case 'finished': {
          const data: DoneData = {
            ...identityOf(context),
            ...endingOf(event),
            timings: timingsOf(event.timings, context),
          };
          return [{ event: 'done', data }];
        }
        default:
          return [otherMessage(event)];
      }
    },
    bodyOf: ({ prompts, choices }): GenerateReply => {
      const [choice] = choices;
      if (choice === undefined) throw new Error('a request without an answer');
      return {
        ...identityOf(context),
        ...(prompts[0] && { prompt: promptReply(prompts[0]) }),
        ...choiceBody(choice),
        timings: timingsOf(choice.finished.timings, context),
      };
    },
  };
}

/** Several answers. Keeps their totals until the last one is complete. */
class ChoicesFormat implements ReplyFormat {
  readonly #context: Context;
  readonly #finished: FinishedEvent[] = [];

  constructor(context: Context) {
    this.#context = context;
  }

  messagesOf(event: GenerationEvent): readonly SseMessage[] {
    switch (event.type) {
      case 'token':
        return [{ event: 'token', data: { choice: event.choice, ...tokenData(event) } satisfies TokenData }];
      case 'finished':
        return this.#messagesOfEnd(event);
      case 'prompt':
        return [{ event: 'prompt', data: { prompt: event.prompt, ...promptReply(event) } }];
      default:
        return [otherMessage(event)];
    }
  }

  bodyOf({ prompts, choices }: WholeReply): ChoicesReply {
    return {
      ...identityOf(this.#context),
      ...(prompts.length > 0 && { prompts: prompts.map(promptReply) }),
      choices: choices.map((choice, index) => ({ index, ...choiceBody(choice) })),
      ...this.#totalsOf(choices.map(({ finished }) => finished)),
    };
  }

  #messagesOfEnd(event: FinishedEvent): SseMessage[] {
    const { prompts, n } = this.#context.request;
    this.#finished.push(event);
    const data: FinishedData = { choice: event.choice, ...endingOf(event) };
    const messages: SseMessage[] = [{ event: 'finished', data }];
    if (this.#finished.length < prompts.length * n) return messages;
    const done: DoneData = { ...identityOf(this.#context), ...this.#totalsOf(this.#finished) };
    return [...messages, { event: 'done', data: done }];
  }

  /** Each prompt counts once. The timings are those of the answer that took longest. */
  #totalsOf(all: readonly FinishedEvent[]) {
    const { n } = this.#context.request;
    const firsts = all.filter(({ choice }) => choice % n === 0);
    const [longest] = [...all].sort((a, b) => engineMs(b) - engineMs(a));
    if (longest === undefined) throw new Error('a request without an answer');
    return {
      usage: usageOf(
        sum(firsts.map(({ usage }) => usage.promptTokens)),
        sum(all.map(({ usage }) => usage.completionTokens)),
      ),
      timings: timingsOf(longest.timings, this.#context),
    };
  }
}

/** The data of nearly all events. */
function plainTokenData({ index, token, text }: TokenEvent): TokenData {
  return { index, token_id: token.id, text };
}

function tokenData({ index, token: { id, logprobs }, text }: TokenEvent): TokenData {
  if (logprobs === undefined) return { index, token_id: id, text };
  return { index, token_id: id, text, logprobs: logprobsData(logprobs) };
}

function otherMessage(event: Exclude<GenerationEvent, TokenEvent | FinishedEvent>): SseMessage {
  if (event.type === 'prompt') return { event: 'prompt', data: promptReply(event) };
  return { event: 'error', data: weftErrors(event.error).body };
}

function identityOf({ request, model }: Context) {
  return { id: request.id, model: model.name };
}

function choiceBody({ tokens, finished }: Choice): ChoiceBody {
  const logprobs = tokens.flatMap(({ token }) => (token.logprobs ? [logprobsData(token.logprobs)] : []));
  return {
    text: tokens.map(({ text }) => text).join(''),
    token_ids: tokens.map(({ token }) => token.id),
    ...(logprobs.length > 0 && { logprobs }),
    ...endingOf(finished),
  };
}

function endingOf({ finishReason, usage }: FinishedEvent) {
  return { finish_reason: finishReason, usage: usageOf(usage.promptTokens, usage.completionTokens) };
}

function promptReply({ tokenIds, logprobs = [] }: PromptEvent): PromptReply {
  return {
    token_ids: [...tokenIds],
    logprobs: tokenIds.map((_, index) => (logprobs[index] ? logprobsData(logprobs[index]) : null)),
  };
}

function logprobsData({ logprob, rank, top }: TokenLogprobs): LogprobsData {
  return { logprob, rank, top: top.map(({ id, logprob }) => ({ token_id: id, logprob })) };
}

function timingsOf(timings: Timings, { stopwatch }: Context) {
  const own = stopwatch.read();
  return {
    receive_ms: round(own.receiveMs),
    validate_ms: round(own.validateMs),
    tokenize_ms: round(timings.tokenizeMs),
    queue_ms: round(timings.queueMs),
    prefill_ms: round(timings.prefillMs),
    decode_ms: round(timings.decodeMs),
    detokenize_ms: round(timings.detokenizeMs),
    write_ms: round(own.writeMs),
    total_ms: round(own.totalMs),
  };
}

function engineMs({ timings: { queueMs, prefillMs, decodeMs } }: FinishedEvent): number {
  return queueMs + prefillMs + decodeMs;
}

/** To the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
