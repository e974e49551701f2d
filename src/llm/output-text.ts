import type { StreamingDecoder } from '../tokenizer/index.ts';
import { StopStrings } from './stop-strings.ts';

/** The text of one sequence, token by token: whole characters only, and nothing of a stop string. */
export class OutputText {
  readonly #decoder: StreamingDecoder | undefined;
  readonly #stopStrings: StopStrings;

  /** @param decoder undefined if the model has no tokenizer; then there is no text */
  constructor(decoder: StreamingDecoder | undefined, stop: readonly string[]) {
    this.#decoder = decoder;
    this.#stopStrings = new StopStrings(stop);
  }

  /** @returns the text that the token adds, and whether it completed a stop string. If so, no further text follows. */
  push(tokenId: number): { readonly text: string; readonly isStopped: boolean } {
    return this.#stopStrings.push(this.#decoder?.push(tokenId) ?? '');
  }

  /** The text that was held back. Call after the last token. */
  end(): string {
    return this.#stopStrings.push(this.#decoder?.end() ?? '').text + this.#stopStrings.end();
  }
}
