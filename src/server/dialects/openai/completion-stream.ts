import type { FinishedEvent, GenerationEvent, PromptEvent, TokenEvent } from '../../../core/index.ts';
import type { ReplyContext, SseMessage } from '../../dialect.ts';
import { type Usage, usageOf } from '../../usage.ts';
import type { AnswerLogprobs } from './completion-logprobs.ts';
import { type CompletionParts, type Echo, logprobsOf } from './completion-parts.ts';
import type { CompletionBody, CompletionChunk, CompletionChunkChoice } from './completion-schemas.ts';
import { done } from './done.ts';
import { completionErrors } from './errors.ts';
import { hasContinuousUsage, hasUsageChunk } from './generation.ts';
import { type TokenTemplate, tokenTemplate } from './token-template.ts';
import { UsageTotals } from './usage.ts';

const unfinished = { logprobs: null, finish_reason: null, stop_reason: null };

/** The stream of `POST /v1/completions`: one chunk per token. The last one of an answer has the finish reason, too. */
export class CompletionStream {
  readonly #body: CompletionBody;
  readonly #parts: CompletionParts;
  readonly #answersPerPrompt: number;
  readonly #hasUsageChunk: boolean;
  readonly #hasContinuousUsage: boolean;
  readonly #totals: UsageTotals;
  /** For chunks that have nothing but text; undefined if they have more. */
  readonly #template: TokenTemplate | undefined;
  readonly #prompts: (Echo & { readonly event: PromptEvent })[] = [];
  readonly #logprobs: (AnswerLogprobs | undefined)[] = [];
  /** Tokens that wait for the finish reason. */
  readonly #last: (TokenEvent | undefined)[] = [];
  #numUnfinished: number;

  constructor({ body, request }: ReplyContext<CompletionBody>, parts: CompletionParts) {
    this.#body = body;
    this.#parts = parts;
    this.#answersPerPrompt = request.n;
    this.#hasUsageChunk = hasUsageChunk(body);
    this.#hasContinuousUsage = hasContinuousUsage(body);
    this.#totals = new UsageTotals(request.n);
    this.#numUnfinished = request.prompts.length * request.n;
    const isPlain = body.logprobs === undefined && !parts.returnsIds && !this.#hasContinuousUsage;
    this.#template = isPlain ? tokenTemplate(this.#chunk([{ index: 0, text: '', ...unfinished }], null)) : undefined;
  }

  messagesOf(event: GenerationEvent): readonly SseMessage[] {
    switch (event.type) {
      case 'prompt':
        this.#prompts[event.prompt] = { ...this.#parts.echoOf(event), event };
        return [];
      case 'token':
        if (!this.#parts.showsTokens) return [];
        if (!event.isLast) return [this.#tokenMessage(event)];
        this.#last[event.choice] = event;
        return [];
      case 'finished':
        return this.#endOf(event);
      case 'error':
        return [{ data: completionErrors(event.error, this.#body).body }, done];
    }
  }

  #tokenMessage(event: TokenEvent): SseMessage {
    // The first chunk of an answer may have the prompt, too.
    if (this.#template !== undefined && event.index > 0) return this.#template(event.choice, event.text);
    return { data: this.#chunkOf(event.choice, event, undefined) };
  }

  #endOf(event: FinishedEvent): readonly SseMessage[] {
    const messages: SseMessage[] = [{ data: this.#chunkOf(event.choice, this.#last[event.choice], event) }];
    this.#totals.add(event, this.#parts.numTokensOf(event));
    if (--this.#numUnfinished > 0) return messages;
    if (this.#hasUsageChunk) messages.push({ data: this.#chunk([], this.#totals.total()) });
    messages.push(done);
    return messages;
  }

  /** @param token undefined if the answer has none */
  #chunkOf(index: number, token: TokenEvent | undefined, finished: FinishedEvent | undefined): CompletionChunk {
    const prompt = this.#prompts[Math.floor(index / this.#answersPerPrompt)];
    const numTokens = token === undefined ? 0 : token.index + 1;
    const opening = numTokens <= 1 ? prompt : undefined;
    if (numTokens <= 1) this.#logprobs[index] = this.#parts.startLogprobs(prompt);
    const text = token?.text ?? '';
    const choice: CompletionChunkChoice = {
      index,
      text: opening === undefined ? text : opening.text + text,
      logprobs: logprobsOf(token === undefined ? [] : [token], this.#logprobs[index], opening),
      finish_reason: finished === undefined ? null : this.#parts.finishReasonOf(finished),
      stop_reason: finished === undefined ? null : this.#parts.stopReasonOf(finished),
    };
    if (this.#parts.returnsIds) {
      if (opening !== undefined) choice.prompt_token_ids = [...opening.event.tokenIds];
      choice.token_ids = token === undefined ? [] : [token.token.id];
    }
    const usage = this.#hasContinuousUsage ? usageOf(prompt?.event.tokenIds.length ?? 0, numTokens) : null;
    return this.#chunk([choice], usage);
  }

  #chunk(choices: CompletionChunkChoice[], usage: Usage | null): CompletionChunk {
    const { id, created, model, fingerprint: system_fingerprint } = this.#parts;
    const chunk: CompletionChunk = { id, object: 'text_completion', created, model, system_fingerprint, choices };
    if (this.#hasUsageChunk) chunk.usage = usage;
    return chunk;
  }
}
