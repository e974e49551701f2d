import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BytePairEncoder } from '../../../src/tokenizer/byte-pair-encoder.ts';
import { encoderTables } from '../../../src/tokenizer/encoder-tables.ts';
import { TokenCountBound } from '../../../src/tokenizer/min-tokens.ts';
import type { AddedToken, TokenizerSpec } from '../../../src/tokenizer/tokenizer-spec.ts';
import { addedToken, byteTokenizer } from '../../support/tokenizers.ts';

const merges = [['Ġ', 'Ġ']] as const;
const mask = addedToken(1000, '<mask>', { lstrip: true });

describe('with a token that swallows white space', () => {
  // The longest token has the 6 bytes of <mask>.
  const bound = (flags: Partial<AddedToken>, text: string) =>
    new TokenCountBound(byteTokenizer({ merges, addedTokens: [{ ...mask, ...flags }] })).of(text);

  test.each([
    ['white space between other characters counts', { lstrip: true }, 'x '.repeat(600), 200],
    ['white space alone counts', { lstrip: true, rstrip: true }, ' '.repeat(1200), 200],
    ['white space in front of it does not', { lstrip: true }, `${' '.repeat(1200)}<mask>`, 1],
    ['but behind it does', { lstrip: true }, `<mask>${' '.repeat(1194)}`, 200],
    [
      'white space behind it does not, if that is what it takes',
      { lstrip: false, rstrip: true },
      `<mask>${' '.repeat(1200)}`,
      1,
    ],
    ['but in front of it does', { lstrip: false, rstrip: true }, `${' '.repeat(1194)}<mask>`, 200],
    ['white space beside something alike counts', { lstrip: true }, `${'  <mas'.repeat(200)}`, 200],
    [
      'three bytes of white space are three',
      { lstrip: true },
      `${'\u3000'.repeat(400)}<mask>${'\u3000'.repeat(400)}`,
      201,
    ],
  ])('%s', (_, flags, text, expected) => {
    expect(bound(flags, text)).toBe(expected);
  });

  test('white space within the token does not count', () => {
    const addedTokens = [addedToken(1000, '\n\n', { lstrip: true }), addedToken(1001, ' b', { lstrip: true })];
    const bound = new TokenCountBound(byteTokenizer({ addedTokens }));
    expect(bound.of(`${' '.repeat(1000)}\n\n`)).toBe(0);
    expect(bound.of(`${' '.repeat(1000)}b`)).toBe(1);
  });
});

test('tokens that no merge produces do not weaken the bound', () => {
  const spec = byteTokenizer();
  const vocab = new Map([...spec.vocab, ['x'.repeat(100_000), 256]]);
  expect(new TokenCountBound({ ...spec, vocab }).of('x'.repeat(1000))).toBe(1000);
});

test('bytes that the vocabulary lacks do not count', () => {
  const spec: TokenizerSpec = { ...byteTokenizer(), vocab: new Map([['a', 0]]), prefix: [0] };
  const encoder = new BytePairEncoder(encoderTables(spec));
  expect(encoder.encode('a b c a')).toEqual([0, 0, 0]);
  expect(new TokenCountBound(spec).of('a b c a')).toBe(3);
  encoder.dispose();
});

test('no text has fewer tokens', () => {
  const flags = fc.record({
    lstrip: fc.boolean(),
    rstrip: fc.boolean(),
    singleWord: fc.boolean(),
    normalized: fc.boolean(),
  });
  const unit = fc.constantFrom('a', '<', '<m>', ' ', '  ', '\n', '\u3000', '🦉', '\uFEFF');
  const content = fc.string({ unit, minLength: 1, maxLength: 3 });
  const tokens = fc.uniqueArray(fc.tuple(content, flags), { maxLength: 4, selector: ([content]) => content });
  fc.assert(
    fc.property(tokens, fc.array(fc.oneof(unit, content), { maxLength: 20 }), (declared, pieces) => {
      const addedTokens = declared.map(([content, flags], i) => addedToken(1000 + i, content, flags));
      // Most texts contain one of the tokens.
      const text = pieces.map((piece, i) => (i % 3 === 0 ? (declared[i % 4]?.[0] ?? piece) : piece)).join('');
      const spec = byteTokenizer({ merges, addedTokens });
      const encoder = new BytePairEncoder(encoderTables(spec), { longWordBytes: 0 });
      expect(new TokenCountBound(spec).of(text)).toBeLessThanOrEqual(encoder.encode(text).length);
    }),
    { numRuns: 500 },
  );
});
