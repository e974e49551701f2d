import { endsWord, isWhiteSpace, startsWord } from './characters.ts';
import type { AddedToken } from './tokenizer-spec.ts';
import type { Work } from './work.ts';

/**
 * Splits texts at added tokens. Where several tokens match, the longest wins.
 * Source: https://github.com/huggingface/tokenizers, `AddedVocabulary::find_matches`
 */
export class AddedTokens {
  readonly #asWritten: TokenFinder;
  /** Searched for in the text between the other tokens. Since normalizers are not supported, they too are found as written. */
  readonly #normalized: TokenFinder;

  constructor(tokens: readonly AddedToken[]) {
    this.#asWritten = new TokenFinder(tokens.filter(({ normalized }) => !normalized));
    this.#normalized = new TokenFinder(tokens.filter(({ normalized }) => normalized));
  }

  /** Yields the added tokens and the text between them, from left to right. */
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

/** Finds tokens in time proportional to the length of the text, at worst multiplied by the length of the longest token. */
class TokenFinder {
  /** Sorted by content in UTF-16 code units: tokens with a common beginning are neighbours, the shortest first. */
  readonly #sorted: readonly AddedToken[];
  /** 1 for every code unit that some token begins with. */
  readonly #isFirstUnit = new Uint8Array(0x1_0000);

  constructor(tokens: readonly AddedToken[]) {
    const byContent = new Map<string, AddedToken>();
    for (const token of tokens) if (!byContent.has(token.content)) byContent.set(token.content, token);
    this.#sorted = [...byContent.values()].sort((a, b) => (a.content < b.content ? -1 : 1));
    for (const { content } of this.#sorted) this.#isFirstUnit[content.charCodeAt(0)] = 1;
  }

  *split(text: string, work: Work): Generator<AddedToken | string> {
    /** Everything before this position has been yielded. */
    let done = 0;
    /** Where the white space behind the last token ends. Remembered so that no run of white space is scanned twice. */
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

  /** Matches do not overlap, but a match may lie in white space that belongs to the token before it. */
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

  /** The longest token at this position of the text. */
  #longestAt(text: string, at: number, work: Work): AddedToken | undefined {
    let longest: AddedToken | undefined;
    /** The tokens in [low, high) match the text in their first `depth` code units. */
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
      // Usually all remaining tokens agree here.
      if (this.#unitOf(low, depth) === unit && this.#unitOf(high - 1, depth) === unit) continue;
      low = this.#firstFrom(unit, depth, { low, high });
      high = this.#firstFrom(unit + 1, depth, { low, high });
    }
    return longest;
  }

  /** The first token in a range whose code unit at `depth` is at least `unit`. All tokens of the range must be longer than `depth`. */
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
