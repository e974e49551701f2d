import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StopStrings, stopPattern } from '../../../src/llm/stop-strings.ts';

/** What is sent of a text that arrives in these pieces. */
function send(
  stops: readonly string[],
  pieces: readonly string[],
  minTokens = 0,
): { sent: string[]; isStopped: boolean } {
  const scanner = new StopStrings({ patterns: stops.map(stopPattern), includeStop: false, minTokens });
  const sent: string[] = [];
  for (const piece of pieces) {
    const { text, stoppedBy } = scanner.push(piece);
    const isStopped = stoppedBy !== undefined;
    sent.push(text);
    if (isStopped) return { sent, isStopped };
  }
  return { sent: [...sent, scanner.end()], isStopped: false };
}

describe('stop strings', () => {
  test('let text pass at once if no part of them is in it', () => {
    expect(send(['END'], ['one ', 'two']).sent).toEqual(['one ', 'two', '']);
  });

  test('hold back text that may become one, and send it if it does not', () => {
    expect(send(['END'], ['the E', 'N', 'emy'])).toEqual({ sent: ['the ', '', 'ENemy', ''], isStopped: false });
  });

  test('end the text before one that arrives in pieces', () => {
    expect(send(['END'], ['the E', 'ND of it'])).toEqual({ sent: ['the ', ''], isStopped: true });
  });

  test('end the text before the first of several', () => {
    expect(send(['dog', 'a', 'hat'], ['the hat']).sent).toEqual(['the ']);
  });

  test('do not count if they are complete before the minimum of tokens, but may begin there', () => {
    expect(send(['aa'], [...'aaaaaa'], 5)).toEqual({ sent: ['', 'a', 'a', 'a', ''], isStopped: true });
    expect(send(['ab'], [...'abab'], 3)).toEqual({ sent: ['', 'ab', '', ''], isStopped: true });
    expect(send(['ab'], [...'abcd'], 3)).toEqual({ sent: ['', 'ab', 'c', 'd', ''], isStopped: false });
  });

  test('let everything before the first one pass, or the whole text if there is none, however it is split', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 8 }), fc.array(stop, { maxLength: 3 }), (pieces, stops) => {
        const { sent, isStopped } = send(stops, pieces);
        const text = sent.join('');
        const whole = pieces.join('');
        expect(whole.startsWith(text)).toBe(true);
        expect(stops.some((each) => text.includes(each))).toBe(false);
        expect(isStopped).toBe(stops.some((each) => whole.includes(each)));
        if (!isStopped) expect(text).toBe(whole);
        else expect(stops.some((each) => whole.startsWith(each, text.length))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
