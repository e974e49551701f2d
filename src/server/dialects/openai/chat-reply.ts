import type { FinishedEvent, GenerationEvent, TokenEvent } from '../../../core/index.ts';
import type { Choice, ReplyContext, ReplyFormat, SseMessage, WholeReply } from '../../dialect.ts';
import { type Usage, usageOf } from '../../usage.ts';
import type { ChatBody, ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion } from './chat-schemas.ts';
import { done } from './done.ts';
import { chatErrors } from './errors.ts';
import { fingerprintOf } from './fingerprint.ts';
import { hasContinuousUsage, hasUsageChunk } from './generation.ts';
import { chatLogprobsOf, type LogprobsFormat, logprobsFormat, promptLogprobsOf } from './logprobs.ts';
import { messagesOf } from './messages.ts';
import { now } from './now.ts';
import { type TokenTemplate, tokenTemplate } from './token-template.ts';
import { UsageTotals } from './usage.ts';

/** The replies of `POST /v1/chat/completions`. */
export class ChatReply implements ReplyFormat {
  readonly #context: ReplyContext<ChatBody>;
  readonly #created = now();
  readonly #model: string;
  readonly #fingerprint: string;
  readonly #role: string;
  readonly #echo: string;
  readonly #logprobs: LogprobsFormat | undefined;
  readonly #returnsIds: boolean;
  readonly #hasUsageChunk: boolean;
  readonly #hasContinuousUsage: boolean;
  readonly #totals: UsageTotals;
  /** For chunks that have nothing but text; undefined if they have more. */
  readonly #template: TokenTemplate | undefined;
  readonly #numTokens: number[] = [];
  #numUnfinished: number;
  #promptTokenIds: readonly number[] = [];
  #isFirstChunk = true;

  constructor(context: ReplyContext<ChatBody>) {
    const { body, request, model, version } = context;
    this.#context = context;
    this.#model = model.name;
    this.#fingerprint = fingerprintOf(version);
    this.#role = roleOf(body);
    this.#echo = echoOf(body, this.#role);
    this.#logprobs = body.logprobs === true ? logprobsFormat(body, body.top_logprobs ?? 0, model) : undefined;
    this.#returnsIds = body.return_token_ids === true;
    this.#hasUsageChunk = hasUsageChunk(body);
    this.#hasContinuousUsage = hasContinuousUsage(body);
    this.#totals = new UsageTotals(request.n);
    this.#numUnfinished = request.n;
    const isPlain = this.#logprobs === undefined && !this.#returnsIds && !this.#hasContinuousUsage;
    const sample = { index: 0, delta: { content: '' }, logprobs: null, finish_reason: null, stop_reason: null };
    this.#template = isPlain ? tokenTemplate(this.#chunk([sample], null)) : undefined;
  }

  messagesOf(event: GenerationEvent): readonly SseMessage[] {
    switch (event.type) {
      case 'prompt':
        this.#promptTokenIds = event.tokenIds;
        return [];
      case 'token':
        if (this.#template !== undefined && event.index > 0) return [this.#template(event.choice, event.text)];
        this.#numTokens[event.choice] = event.index + 1;
        return [{ data: this.#chunkOf(this.#tokenChoice(event)) }];
      case 'finished':
        return this.#endOf(event);
      case 'error':
        return [{ data: chatErrors(event.error, this.#context.body).body }, done];
    }
  }

  bodyOf({ prompts: [prompt], choices }: WholeReply): ChatCompletion {
    const { request, body, model } = this.#context;
    for (const { finished } of choices) this.#totals.add(finished, finished.usage.completionTokens);
    return {
      id: request.id,
      object: 'chat.completion',
      created: this.#created,
      model: this.#model,
      system_fingerprint: this.#fingerprint,
      choices: choices.map((choice, index) => this.#choiceOf(choice, index)),
      usage: this.#totals.total(),
      prompt_logprobs:
        body.prompt_logprobs === undefined || prompt === undefined
          ? null
          : promptLogprobsOf(prompt, logprobsFormat(body, body.prompt_logprobs, model)),
      prompt_token_ids: this.#returnsIds && prompt !== undefined ? [...prompt.tokenIds] : null,
    };
  }

  #endOf(event: FinishedEvent): readonly SseMessage[] {
    const { choice, finishReason, stopReason = null } = event;
    const last: ChatChunkChoice = {
      index: choice,
      delta: {},
      logprobs: null,
      finish_reason: finishReason,
      stop_reason: stopReason,
    };
    const messages: SseMessage[] = [{ data: this.#chunkOf(last) }];
    this.#totals.add(event, event.usage.completionTokens);
    if (--this.#numUnfinished > 0) return messages;
    if (this.#hasUsageChunk) messages.push({ data: this.#chunk([], this.#totals.total()) });
    messages.push(done);
    return messages;
  }

  #tokenChoice({ choice: index, index: place, token, text }: TokenEvent): ChatChunkChoice {
    const choice: ChatChunkChoice = {
      index,
      delta: place === 0 ? { role: this.#role, content: this.#echo + text } : { content: text },
      logprobs: this.#logprobs ? chatLogprobsOf([token], this.#context.model.codec, this.#logprobs) : null,
      finish_reason: null,
      stop_reason: null,
    };
    if (this.#returnsIds) choice.token_ids = [token.id];
    return choice;
  }

  #chunkOf(choice: ChatChunkChoice): ChatChunk {
    const numTokens = this.#numTokens[choice.index] ?? 0;
    const chunk = this.#chunk(
      [choice],
      this.#hasContinuousUsage ? usageOf(this.#promptTokenIds.length, numTokens) : null,
    );
    if (this.#isFirstChunk && this.#returnsIds) chunk.prompt_token_ids = [...this.#promptTokenIds];
    this.#isFirstChunk = false;
    return chunk;
  }

  #chunk(choices: ChatChunkChoice[], usage: Usage | null): ChatChunk {
    const { id } = this.#context.request;
    const chunk: ChatChunk = {
      id,
      object: 'chat.completion.chunk',
      created: this.#created,
      model: this.#model,
      system_fingerprint: this.#fingerprint,
      choices,
    };
    if (this.#hasUsageChunk) chunk.usage = usage;
    return chunk;
  }

  #choiceOf({ tokens, finished }: Choice, index: number): ChatChoice {
    const sampled = tokens.map(({ token }) => token);
    return {
      index,
      message: { role: this.#role, content: this.#echo + tokens.map(({ text }) => text).join(''), refusal: null },
      logprobs: this.#logprobs ? chatLogprobsOf(sampled, this.#context.model.codec, this.#logprobs) : null,
      finish_reason: finished.finishReason,
      stop_reason: finished.stopReason ?? null,
      token_ids: this.#returnsIds ? sampled.map(({ id }) => id) : null,
    };
  }
}

/** Of an answer to the messages, or of the last message if no answer begins after it. */
function roleOf({
  messages,
  add_generation_prompt: isAnswer,
  continue_final_message: isContinued = false,
}: ChatBody): string {
  return (isAnswer ?? !isContinued) ? 'assistant' : (messages.at(-1)?.role ?? 'assistant');
}

function echoOf({ echo, messages }: ChatBody, role: string): string {
  if (echo !== true) return '';
  const [last] = messagesOf(messages.slice(-1));
  return last?.role === role ? (last.content ?? '') : '';
}
