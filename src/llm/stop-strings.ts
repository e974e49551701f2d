export interface StopOptions {
  readonly stop: readonly string[];
  /** Whether the text includes the stop string that ended it. */
  readonly includeStop: boolean;
  /** Stop strings that are complete before this many tokens do not count. */
  readonly minTokens: number;
}

/** Text that is safe to send. */
export interface CheckedText {
  readonly text: string;
  /** The stop string that has appeared. If there is one, no further text follows. */
  readonly stoppedBy: string | undefined;
}

/** Finds stop strings in text that arrives token by token, and holds back whatever could be the beginning of one. */
export class StopStrings {
  readonly #options: StopOptions;
  #held = '';
  #numTokens = 0;

  constructor(options: StopOptions) {
    this.#options = options;
  }

  /** @param text of the next token */
  push(text: string): CheckedText {
    const { stop, includeStop, minTokens } = this.#options;
    this.#numTokens++;
    if (stop.length === 0 || this.#numTokens < minTokens) return { text, stoppedBy: undefined };
    const all = this.#held + text;
    const found = firstOf(stop, all);
    if (found !== undefined) {
      this.#held = '';
      const end = found.index + (includeStop ? found.stop.length : 0);
      return { text: all.slice(0, end), stoppedBy: found.stop };
    }
    const numHeld = Math.max(...stop.map((each) => numOverlapping(all, each)));
    this.#held = all.slice(all.length - numHeld);
    return { text: all.slice(0, all.length - numHeld), stoppedBy: undefined };
  }

  /** The text that was held back and did not become a stop string. */
  end(): string {
    return this.#held;
  }
}

/** The stop string that begins first, and where. */
function firstOf(
  stops: readonly string[],
  text: string,
): { readonly stop: string; readonly index: number } | undefined {
  const found = stops.map((stop) => ({ stop, index: text.indexOf(stop) })).filter(({ index }) => index >= 0);
  return found.sort((a, b) => a.index - b.index)[0];
}

/** The length of the longest suffix of the text that is a prefix of the stop string. */
function numOverlapping(text: string, stop: string): number {
  let length = Math.min(text.length, stop.length - 1);
  while (length > 0 && !text.endsWith(stop.slice(0, length))) length--;
  return length;
}
