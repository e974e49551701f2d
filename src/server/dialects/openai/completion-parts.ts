import type { FinishedEvent, PromptEvent, TokenEvent } from '../../../core/index.ts';
import type { ReplyContext } from '../../dialect.ts';
import { AnswerLogprobs, echoLogprobs } from './completion-logprobs.ts';
import type { CompletionBody, CompletionChoice } from './completion-schemas.ts';
import { fingerprintOf } from './fingerprint.ts';
import { type CompletionLogprobs, type LogprobsFormat, logprobsFormat, noCompletionLogprobs } from './logprobs.ts';
import { now } from './now.ts';
import { echoedText } from './prompt-text.ts';
import { numCharacters } from './text-offsets.ts';

/** What an answer repeats of its prompt. */
export interface Echo {
  /** Empty unless the request asks for an echo. */
  readonly text: string;
  readonly logprobs: CompletionLogprobs | undefined;
}

/** What the chunks of a stream and a whole reply have in common. */
export class CompletionParts {
  readonly id: string;
  readonly created = now();
  readonly model: string;
  readonly fingerprint: string;
  readonly returnsIds: boolean;
  /** With `max_tokens: 0`, one token is generated but not shown. */
  readonly showsTokens: boolean;
  readonly #context: ReplyContext<CompletionBody>;
  readonly #format: LogprobsFormat | undefined;

  constructor(context: ReplyContext<CompletionBody>) {
    const { body, request, model, version } = context;
    this.id = request.id;
    this.model = model.name;
    this.fingerprint = fingerprintOf(version);
    this.returnsIds = body.return_token_ids === true;
    this.showsTokens = body.max_tokens !== 0;
    this.#context = context;
    this.#format = body.logprobs === undefined ? undefined : logprobsFormat(body, body.logprobs, model);
  }

  echoOf(event: PromptEvent): Echo {
    const { body, request, model } = this.#context;
    if (body.echo !== true) return { text: '', logprobs: undefined };
    const text = echoedText(event, request.prompts[event.prompt], {
      codec: model.codec,
      truncateTo: request.truncatePromptTokens,
    });
    const format = this.#format;
    return { text, logprobs: format && echoLogprobs(event, text, { model, format }) };
  }

  /** Writes the log probabilities of an answer; undefined if the request does not ask for them. */
  startLogprobs(echo: Echo | undefined): AnswerLogprobs | undefined {
    const { model, body } = this.#context;
    if (this.#format === undefined) return undefined;
    return new AnswerLogprobs(this.#format, { model, body, start: numCharacters(echo?.text ?? '') });
  }

  /** With `max_tokens: 0`, the token that is not shown says nothing of the end. */
  finishReasonOf({ finishReason }: FinishedEvent): CompletionChoice['finish_reason'] {
    return this.showsTokens ? finishReason : 'length';
  }

  stopReasonOf({ stopReason }: FinishedEvent): CompletionChoice['stop_reason'] {
    return (this.showsTokens ? stopReason : undefined) ?? null;
  }

  numTokensOf({ usage }: FinishedEvent): number {
    return this.showsTokens ? usage.completionTokens : 0;
  }
}

/** The log probabilities of some tokens of an answer, behind those of its echo if there is one. */
export function logprobsOf(
  tokens: readonly TokenEvent[],
  answer: AnswerLogprobs | undefined,
  echo: Echo | undefined,
): CompletionLogprobs | null {
  if (answer === undefined) return null;
  const lists = echo?.logprobs === undefined ? noCompletionLogprobs() : copyOf(echo.logprobs);
  for (const { token } of tokens) answer.add(lists, token);
  return lists;
}

/** Several answers may have the same echo. */
function copyOf({ tokens, token_logprobs, top_logprobs, text_offset }: CompletionLogprobs): CompletionLogprobs {
  return {
    tokens: [...tokens],
    token_logprobs: [...token_logprobs],
    top_logprobs: [...top_logprobs],
    text_offset: [...text_offset],
  };
}
