import { endsWord, isWhiteSpace, startsWord } from './characters.ts';
import type { AddedToken } from './tokenizer-spec.ts';
import type { Work } from './work.ts';

/**
 * Cuts texts at added tokens: where several begin, the longest counts.
 * Source: https://github.com/huggingface/tokenizers, `AddedVocabulary::find_matches`
 */
export class AddedTokens {
  readonly #asWritten: TokenFinder;
  /** Searched for in what the others leave. Models with a normalizer are refused, so they are found as written, too. */
  readonly #normalized: TokenFinder;

  constructor(tokens: readonly AddedToken[]) {
    this.#asWritten = new TokenFinder(tokens.filter(({ normalized }) => !normalized));
    this.#normalized = new TokenFinder(tokens.filter(({ normalized }) => normalized));
  }

  /** The text from left to right: added tokens, and what is between them. */
  *split(text: string, work: Work): Generator<AddedToken | string> {
    for (const piece of this.#asWritten.split(text, work)) {
      if (typeof piece === 'string') yield* this.#normalized.split(piece, work);
      else yield piece;
    }
  }
}

interface Match {
  readonly token: AddedToken;
  readonly at: number;
  readonly end: number;
}

/** Finds tokens in time that grows with the text, times the length of the longest token at worst. */
class TokenFinder {
  /** By content, as UTF-16 code units: tokens that begin alike stand together, the shortest first. */
  readonly #sorted: readonly AddedToken[];
  /** 1 for the code units that a token begins with. */
  readonly #isFirstUnit = new Uint8Array(0x1_0000);

  constructor(tokens: readonly AddedToken[]) {
    const byContent = new Map<string, AddedToken>();
    for (const token of tokens) if (!byContent.has(token.content)) byContent.set(token.content, token);
    this.#sorted = [...byContent.values()].sort((a, b) => (a.content < b.content ? -1 : 1));
    for (const { content } of this.#sorted) this.#isFirstUnit[content.charCodeAt(0)] = 1;
  }

  *split(text: string, work: Work): Generator<AddedToken | string> {
    /** Everything before is given out. */
    let done = 0;
    /** The end of the white space that was last taken along, so that no run of it is walked through twice. */
    let spaceEnd = 0;
    for (const { token, at, end } of this.#matches(text, work)) {
      if (token.rstrip && end > spaceEnd) spaceEnd = endOfSpace(text, end, work);
      const start = token.lstrip ? startOfSpace(text, { from: at, notBefore: done }, work) : at;
      const stop = token.rstrip ? spaceEnd : end;
      if (done < start) yield text.slice(done, start);
      if (start < stop) yield token;
      done = stop;
    }
    if (done < text.length) yield text.slice(done);
  }

  /** They do not overlap; but one may be found in white space that the one before takes along. */
  *#matches(text: string, work: Work): Generator<Match> {
    if (this.#sorted.length === 0) return;
    for (let at = 0; at < text.length; ) {
      work.step();
      const token = this.#isFirstUnit[text.charCodeAt(at)] === 1 ? this.#longestAt(text, at, work) : undefined;
      const end = at + (token?.content.length ?? 1);
      if (token !== undefined && !(token.singleWord && (endsWord(text, at) || startsWord(text, end))))
        yield { token, at, end };
      at = end;
    }
  }

  /** The longest token whose content begins at this place. */
  #longestAt(text: string, at: number, work: Work): AddedToken | undefined {
    let longest: AddedToken | undefined;
    /** The tokens from `low` to before `high` agree with the text in `depth` code units. */
    let low = 0;
    let high = this.#sorted.length;
    for (let depth = 0; low < high; depth++) {
      work.step();
      const shortest = this.#sorted[low];
      if (shortest?.content.length === depth) {
        longest = shortest;
        low++;
      }
      if (at + depth === text.length) break;
      const unit = text.charCodeAt(at + depth);
      // Long tokens are mostly alone here, or alike.
      if (this.#unitOf(low, depth) === unit && this.#unitOf(high - 1, depth) === unit) continue;
      low = this.#firstFrom(unit, depth, { low, high });
      high = this.#firstFrom(unit + 1, depth, { low, high });
    }
    return longest;
  }

  /** The first token in a range whose code unit at `depth` is not below `unit`; all of the range are longer than `depth`. */
  #firstFrom(unit: number, depth: number, range: { readonly low: number; readonly high: number }): number {
    let { low, high } = range;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#unitOf(middle, depth) < unit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #unitOf(index: number, depth: number): number {
    return this.#sorted[index]?.content.charCodeAt(depth) ?? 0;
  }
}

function endOfSpace(text: string, from: number, work: Work): number {
  let end = from;
  for (; isWhiteSpace(text.charCodeAt(end)); end++) work.step();
  return end;
}

function startOfSpace(
  text: string,
  { from, notBefore }: { readonly from: number; readonly notBefore: number },
  work: Work,
): number {
  let start = Math.max(from, notBefore);
  for (; start > notBefore && isWhiteSpace(text.charCodeAt(start - 1)); start--) work.step();
  return start;
}
