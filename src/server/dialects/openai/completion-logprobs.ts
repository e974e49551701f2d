import type { PromptEvent, SampledToken, ServedModel } from '../../../core/index.ts';
import type { CompletionBody } from './completion-schemas.ts';
import {
  addCompletionLogprobs,
  type CompletionLogprobs,
  type LogprobsFormat,
  noCompletionLogprobs,
} from './logprobs.ts';
import { noBytes, promptOffsets } from './prompt-text.ts';
import { TextOffsets } from './text-offsets.ts';

/** The log probabilities of one answer, chunk by chunk. */
export class AnswerLogprobs {
  readonly #model: ServedModel;
  readonly #format: LogprobsFormat;
  readonly #skipsSpecial: boolean;
  readonly #offsets: TextOffsets;

  /** @param start characters of the echo in front of the answer */
  constructor(
    format: LogprobsFormat,
    { model, body, start }: { model: ServedModel; body: CompletionBody; start: number },
  ) {
    this.#format = format;
    this.#model = model;
    this.#skipsSpecial = body.skip_special_tokens ?? true;
    this.#offsets = new TextOffsets(start);
  }

  add(lists: CompletionLogprobs, { id, logprobs }: SampledToken): void {
    const offset = this.#offsets.add(this.#bytesInText(id));
    addCompletionLogprobs(lists, { id, logprobs, offset }, this.#format);
  }

  #bytesInText(id: number): Uint8Array {
    const { codec } = this.#model;
    if (codec === undefined || (this.#skipsSpecial && codec.isSpecial(id))) return noBytes;
    return codec.bytesOf(id);
  }
}

/** The log probabilities of an echoed prompt. */
export function echoLogprobs(
  { tokenIds, logprobs = [] }: PromptEvent,
  text: string,
  { model, format }: { readonly model: ServedModel; readonly format: LogprobsFormat },
): CompletionLogprobs {
  const lists = noCompletionLogprobs();
  const offsets = promptOffsets(tokenIds, text, model.codec);
  tokenIds.forEach((id, index) => {
    addCompletionLogprobs(lists, { id, logprobs: logprobs[index], offset: offsets[index] ?? 0 }, format);
  });
  return lists;
}
