import type { FinishedEvent, GenerationEvent, PromptEvent, TokenEvent } from '../../../core/index.ts';
import type { Answer, Choice, ReplyContext, ReplyFormat, SseMessage } from '../../dialect.ts';
import { AnswerLogprobs, echoLogprobs } from './completion-logprobs.ts';
import type {
  Completion,
  CompletionBody,
  CompletionChoice,
  CompletionChunk,
  CompletionChunkChoice,
} from './completion-schemas.ts';
import { completionErrors } from './errors.ts';
import { hasContinuousUsage, hasUsageChunk } from './generation.ts';
import { likeliest } from './likeliest.ts';
import {
  type CompletionLogprobs,
  type LogprobsFormat,
  logprobsFormat,
  noCompletionLogprobs,
  promptLogprobsOf,
} from './logprobs.ts';
import { now } from './now.ts';
import { echoedText } from './prompt-text.ts';
import { numCharacters } from './text-offsets.ts';
import { UsageTotals, usageOf } from './usage.ts';

const done: SseMessage = '[DONE]';

/** What chunks and replies say of a prompt. */
interface Echo {
  readonly tokenIds: readonly number[];
  /** Empty unless the request asks for an echo. */
  readonly text: string;
  readonly logprobs: CompletionLogprobs | undefined;
}

/** The replies of `POST /v1/completions`. */
export class CompletionReply implements ReplyFormat {
  readonly #context: ReplyContext<CompletionBody>;
  readonly #created = now();
  readonly #model: string;
  readonly #logprobs: LogprobsFormat | undefined;
  /** With `max_tokens: 0`, one token is generated but not shown. */
  readonly #showsTokens: boolean;
  readonly #hasUsageChunk: boolean;
  readonly #hasContinuousUsage: boolean;
  readonly #totals: UsageTotals;
  readonly #echoes: Echo[] = [];
  /** Log probabilities and last tokens of the answers of a stream. */
  readonly #answers: AnswerLogprobs[] = [];
  readonly #held: (TokenEvent | undefined)[] = [];
  #numUnfinished: number;

  constructor(context: ReplyContext<CompletionBody>) {
    const { body, request, model } = context;
    this.#context = context;
    this.#model = body.model ?? model.name;
    this.#logprobs = body.logprobs === undefined ? undefined : logprobsFormat(body, body.logprobs, model);
    this.#showsTokens = body.max_tokens !== 0;
    this.#hasUsageChunk = hasUsageChunk(body);
    this.#hasContinuousUsage = hasContinuousUsage(body);
    this.#totals = new UsageTotals(request.n);
    this.#numUnfinished = request.prompts.length * request.n;
  }

  messagesOf(event: GenerationEvent): readonly SseMessage[] {
    switch (event.type) {
      case 'prompt':
        this.#echoes[event.prompt] = this.#echoOf(event);
        return [];
      case 'token':
        if (!event.isLast && this.#showsTokens) return [{ data: this.#chunkOf(event.choice, event, undefined) }];
        this.#held[event.choice] = event;
        return [];
      case 'finished':
        return this.#endOf(event);
      case 'error':
        return [{ data: completionErrors(event.error, this.#context.body).body }, done];
    }
  }

  bodyOf({ prompts, choices }: Answer): Completion {
    const { request, body } = this.#context;
    for (const event of prompts) this.#echoes[event.prompt] = this.#echoOf(event);
    for (const { finished, tokens } of choices) this.#totals.add(finished, this.#showsTokens ? tokens.length : 0);
    const chosen = request.prompts.flatMap((_, prompt) => {
      const answers = choices.slice(prompt * request.n, (prompt + 1) * request.n);
      return likeliest(answers, body.n ?? 1).map((choice) => ({ choice, prompt: prompts[prompt] }));
    });
    return {
      id: request.id,
      object: 'text_completion',
      created: this.#created,
      model: this.#model,
      choices: chosen.map(({ choice, prompt }, index) => this.#choiceOf(choice, index, prompt)),
      usage: this.#totals.total(),
    };
  }

  /** The last token of an answer with its finish reason. After the last answer, the usage and the end. */
  #endOf(event: FinishedEvent): readonly SseMessage[] {
    const { choice } = event;
    const token = this.#showsTokens ? this.#held[choice] : undefined;
    const messages: SseMessage[] = [{ data: this.#chunkOf(choice, token, event) }];
    this.#totals.add(event, this.#showsTokens ? event.usage.completionTokens : 0);
    if (--this.#numUnfinished > 0) return messages;
    if (this.#hasUsageChunk) messages.push({ data: this.#usageChunk() });
    messages.push(done);
    return messages;
  }

  #chunkOf(index: number, token: TokenEvent | undefined, finished: FinishedEvent | undefined): CompletionChunk {
    const isFirst = token === undefined || token.index === 0;
    const echo = this.#echoes[Math.floor(index / this.#context.request.n)];
    const text = token?.text ?? '';
    const choice: CompletionChunkChoice = {
      index,
      text: isFirst && echo !== undefined ? echo.text + text : text,
      logprobs: this.#logprobs === undefined ? null : this.#chunkLogprobs(this.#logprobs, { index, token, echo }),
      finish_reason: finished === undefined ? null : this.#finishReasonOf(finished),
      stop_reason: finished === undefined ? null : this.#stopReasonOf(finished),
    };
    if (this.#context.body.return_token_ids === true) {
      if (isFirst && echo !== undefined) choice.prompt_token_ids = [...echo.tokenIds];
      choice.token_ids = token === undefined ? [] : [token.token.id];
    }
    const chunk: CompletionChunk = {
      id: this.#context.request.id,
      object: 'text_completion',
      created: this.#created,
      model: this.#model,
      choices: [choice],
    };
    if (this.#hasContinuousUsage) {
      chunk.usage = usageOf(echo?.tokenIds.length ?? 0, token === undefined ? 0 : token.index + 1);
    } else if (this.#hasUsageChunk) chunk.usage = null;
    return chunk;
  }

  #usageChunk(): CompletionChunk {
    return {
      id: this.#context.request.id,
      object: 'text_completion',
      created: this.#created,
      model: this.#model,
      choices: [],
      usage: this.#totals.total(),
    };
  }

  #chunkLogprobs(
    format: LogprobsFormat,
    { index, token, echo }: { index: number; token: TokenEvent | undefined; echo: Echo | undefined },
  ): CompletionLogprobs {
    const isFirst = token === undefined || token.index === 0;
    const lists = isFirst && echo?.logprobs !== undefined ? copyOf(echo.logprobs) : noCompletionLogprobs();
    if (token === undefined) return lists;
    this.#answers[index] ??= this.#answerLogprobs(format, echo);
    this.#answers[index].add(lists, token.token);
    return lists;
  }

  #choiceOf({ tokens, finished }: Choice, index: number, prompt: PromptEvent | undefined): CompletionChoice {
    const { body, model } = this.#context;
    const shown = this.#showsTokens ? tokens : [];
    const echo = prompt === undefined ? undefined : this.#echoes[prompt.prompt];
    const returnsIds = body.return_token_ids === true;
    return {
      index,
      text: (echo?.text ?? '') + shown.map(({ text }) => text).join(''),
      logprobs: this.#logprobs === undefined ? null : this.#allLogprobs(this.#logprobs, shown, echo),
      finish_reason: this.#finishReasonOf(finished),
      stop_reason: this.#stopReasonOf(finished),
      prompt_logprobs:
        body.prompt_logprobs === undefined || prompt === undefined
          ? null
          : promptLogprobsOf(prompt, logprobsFormat(body, body.prompt_logprobs, model)),
      prompt_token_ids: returnsIds && prompt !== undefined ? [...prompt.tokenIds] : null,
      token_ids: returnsIds ? shown.map(({ token }) => token.id) : null,
    };
  }

  #allLogprobs(format: LogprobsFormat, tokens: readonly TokenEvent[], echo: Echo | undefined): CompletionLogprobs {
    const lists = echo?.logprobs === undefined ? noCompletionLogprobs() : copyOf(echo.logprobs);
    const answer = this.#answerLogprobs(format, echo);
    for (const { token } of tokens) answer.add(lists, token);
    return lists;
  }

  #answerLogprobs(format: LogprobsFormat, echo: Echo | undefined): AnswerLogprobs {
    const { model, body } = this.#context;
    return new AnswerLogprobs(format, { model, body, start: numCharacters(echo?.text ?? '') });
  }

  #finishReasonOf({ finishReason }: FinishedEvent): CompletionChoice['finish_reason'] {
    return this.#showsTokens ? finishReason : 'length';
  }

  #stopReasonOf({ stopReason }: FinishedEvent): CompletionChoice['stop_reason'] {
    return (this.#showsTokens ? stopReason : undefined) ?? null;
  }

  #echoOf(event: PromptEvent): Echo {
    const { body, request, model } = this.#context;
    if (body.echo !== true) return { tokenIds: event.tokenIds, text: '', logprobs: undefined };
    const text = echoedText(event, request.prompts[event.prompt], {
      codec: model.codec,
      truncateTo: request.truncatePromptTokens,
    });
    const logprobs = this.#logprobs && echoLogprobs(event, text, { model, format: this.#logprobs });
    return { tokenIds: event.tokenIds, text, logprobs };
  }
}

function copyOf({ tokens, token_logprobs, top_logprobs, text_offset }: CompletionLogprobs): CompletionLogprobs {
  return {
    tokens: [...tokens],
    token_logprobs: [...token_logprobs],
    top_logprobs: [...top_logprobs],
    text_offset: [...text_offset],
  };
}
