import type { StreamingDecoder } from '../tokenizer/index.ts';
import { type CheckedText, type StopOptions, StopStrings } from './stop-strings.ts';

/** The text of one sequence, token by token: whole characters only, and nothing of a stop string unless it is asked for. */
export class OutputText {
  readonly #decoder: StreamingDecoder | undefined;
  readonly #stopStrings: StopStrings;

  /** @param decoder undefined if the model has no tokenizer; then there is no text */
  constructor(decoder: StreamingDecoder | undefined, stop: StopOptions) {
    this.#decoder = decoder;
    this.#stopStrings = new StopStrings(stop);
  }

  /** @returns the text that the token adds, and the stop string that it completes, if any */
  push(tokenId: number): CheckedText {
    return this.#stopStrings.push(this.#decoder?.push(tokenId) ?? '');
  }

  /** The text that was held back. Call after the last token, unless a stop string has ended the text. */
  end(): string {
    const { text, stoppedBy } = this.#stopStrings.push(this.#decoder?.end() ?? '');
    return stoppedBy === undefined ? text + this.#stopStrings.end() : text;
  }
}
