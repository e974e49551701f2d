/** A stop string, prepared for the algorithm of Knuth, Morris and Pratt. Sequences share it. */
export interface StopPattern {
  readonly stop: string;
  /** For each length of a prefix: the length of the longest shorter prefix that it ends with. */
  readonly fallbacks: Uint32Array;
}

export function stopPattern(stop: string): StopPattern {
  const fallbacks = new Uint32Array(stop.length + 1);
  for (let end = 1, matched = 0; end < stop.length; end++) {
    while (matched > 0 && stop[end] !== stop[matched]) matched = fallbacks[matched] ?? 0;
    if (stop[end] === stop[matched]) matched++;
    fallbacks[end + 1] = matched;
  }
  return { stop, fallbacks };
}

export interface StopOptions {
  readonly patterns: readonly StopPattern[];
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
  readonly #matchers: readonly Matcher[];
  #held = '';
  #numTokens = 0;

  constructor(options: StopOptions) {
    this.#options = options;
    this.#matchers = options.patterns.map((pattern) => new Matcher(pattern));
  }

  /** @param text of the next token */
  push(text: string): CheckedText {
    this.#numTokens++;
    if (this.#matchers.length === 0) return { text, stoppedBy: undefined };
    const all = this.#held + text;
    const found = this.#find(text);
    if (found !== undefined) {
      this.#held = '';
      const { stop } = found.matcher.pattern;
      const begin = all.length - text.length + found.end - stop.length;
      return { text: all.slice(0, begin + (this.#options.includeStop ? stop.length : 0)), stoppedBy: stop };
    }
    const numHeld = this.#matchers.reduce((most, { matched }) => Math.max(most, matched), 0);
    this.#held = all.slice(all.length - numHeld);
    return { text: all.slice(0, all.length - numHeld), stoppedBy: undefined };
  }

  /** The text that was held back and did not become a stop string. */
  end(): string {
    return this.#held;
  }

  /** The stop string that begins first. @returns where it ends in the text */
  #find(text: string): { readonly matcher: Matcher; readonly end: number } | undefined {
    let first: { readonly matcher: Matcher; readonly end: number } | undefined;
    for (const matcher of this.#matchers) {
      const end = matcher.push(text);
      if (end === undefined || this.#numTokens < this.#options.minTokens) continue;
      const isEarlier = first === undefined || end - matcher.length < first.end - first.matcher.length;
      if (isEarlier) first = { matcher, end };
    }
    return first;
  }
}

/** Follows one stop string through a text. Each character of the text is looked at once. */
class Matcher {
  readonly pattern: StopPattern;
  /** How much of the stop string the text ends with. */
  matched = 0;

  constructor(pattern: StopPattern) {
    this.pattern = pattern;
  }

  get length(): number {
    return this.pattern.stop.length;
  }

  /** @returns where in this piece of text the stop string ends for the first time */
  push(text: string): number | undefined {
    const { stop, fallbacks } = this.pattern;
    let first: number | undefined;
    let { matched } = this;
    for (let i = 0; i < text.length; i++) {
      while (matched > 0 && text[i] !== stop[matched]) matched = fallbacks[matched] ?? 0;
      if (text[i] === stop[matched]) matched++;
      if (matched < stop.length) continue;
      first ??= i + 1;
      matched = fallbacks[matched] ?? 0;
    }
    this.matched = matched;
    return first;
  }
}
