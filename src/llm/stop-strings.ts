/** Finds stop strings in text that arrives in pieces, and holds back whatever could be the beginning of one. */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** @returns the text that is safe to send, and whether a stop string appeared. If so, no further text follows. */
  push(text: string): { readonly text: string; readonly isStopped: boolean } {
    if (this.#stops.length === 0) return { text, isStopped: false };
    const all = this.#held + text;
    const found = this.#stops.map((stop) => all.indexOf(stop)).filter((index) => index >= 0);
    if (found.length > 0) {
      this.#held = '';
      return { text: all.slice(0, Math.min(...found)), isStopped: true };
    }
    const numHeld = Math.max(...this.#stops.map((stop) => numOverlapping(all, stop)));
    this.#held = all.slice(all.length - numHeld);
    return { text: all.slice(0, all.length - numHeld), isStopped: false };
  }

  /** The text that was held back and did not become a stop string. */
  end(): string {
    return this.#held;
  }
}

/** The length of the longest suffix of the text that is a prefix of the stop string. */
function numOverlapping(text: string, stop: string): number {
  let length = Math.min(text.length, stop.length - 1);
  while (length > 0 && !text.endsWith(stop.slice(0, length))) length--;
  return length;
}
