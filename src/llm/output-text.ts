import type { StreamingDecoder } from '../tokenizer/index.ts';
import { StopStrings } from './stop-strings.ts';

/** The text of one sequence, token by token: whole characters only, and nothing of a stop string. */
export class OutputText {
  readonly #decoder: StreamingDecoder | undefined;
  readonly #stopStrings: StopStrings;

  /** @param decoder undefined where the model has no tokenizer: then there is no text */
  constructor(decoder: StreamingDecoder | undefined, stop: readonly string[]) {
    this.#decoder = decoder;
    this.#stopStrings = new StopStrings(stop);
  }

  /** @returns what the token adds to the text, and whether it completed a stop string: then it is the last text. */
  push(tokenId: number): { readonly text: string; readonly isStopped: boolean } {
    return this.#stopStrings.push(this.#decoder?.push(tokenId) ?? '');
  }

  /** All that was held back, when no further token comes. */
  end(): string {
    return this.#stopStrings.push(this.#decoder?.end() ?? '').text + this.#stopStrings.end();
  }
}
