import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddedTokens } from '../../../src/tokenizer/added-tokens.ts';
import { BytePairEncoder } from '../../../src/tokenizer/byte-pair-encoder.ts';
import { encoderTables } from '../../../src/tokenizer/encoder-tables.ts';
import { loadTokenizer } from '../../../src/tokenizer/index.ts';
import { Work } from '../../../src/tokenizer/work.ts';
import { addedTokensFixture, type TokenizerCase, temporaryFolder } from '../../support/fixtures.ts';
import { addedToken, byteTokenizer, withSpecialTokens } from '../../support/tokenizers.ts';

interface AddedTokensFixture {
  readonly merges: readonly (readonly [string, string])[];
  readonly sets: readonly {
    readonly added_tokens: readonly object[];
    readonly add_prefix_space: boolean;
    readonly cases: readonly TokenizerCase[];
  }[];
}

test('added tokens are found where Hugging Face finds them, whatever white space they swallow', async () => {
  const { merges, sets }: AddedTokensFixture = JSON.parse(readFileSync(addedTokensFixture, 'utf8'));
  expect(sets.length).toBeGreaterThan(30);
  const { vocab } = byteTokenizer({ merges });
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, 'tokenizer_config.json'), JSON.stringify({ add_bos_token: false }));
  for (const { added_tokens, add_prefix_space, cases } of sets) {
    const model = { type: 'BPE', vocab: Object.fromEntries(vocab), merges };
    const pre_tokenizer = { type: 'ByteLevel', add_prefix_space };
    await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify({ model, pre_tokenizer, added_tokens }));
    const tokenizer = await loadTokenizer(folder);
    for (const { text, ids } of cases) {
      const found = await tokenizer?.encode(text, withSpecialTokens);
      expect({ added_tokens, text, ids: found }).toEqual({ added_tokens, text, ids });
      expect(tokenizer?.minTokens(text, withSpecialTokens)).toBeLessThanOrEqual(ids.length);
    }
    await tokenizer?.dispose();
  }
});

test('tokens that swallow no white space are found like by a regular expression with the longest first', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '<', '>', ' ', '🦉', '\n'), maxLength: 40 });
  const content = fc.string({ unit: fc.constantFrom('a', 'b', '<', ' ', '🦉'), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.uniqueArray(content, { maxLength: 8 }), text, (contents, text) => {
      const tokens = new AddedTokens(contents.map((content, i) => addedToken(1000 + i, content)));
      const pieces = [...tokens.split(text, new Work())];
      const longestFirst = [...contents].sort((a, b) => b.length - a.length);
      const expected = longestFirst.length === 0 ? [text] : text.split(new RegExp(`(${longestFirst.join('|')})`, 'u'));
      const found = pieces.map((piece) => (typeof piece === 'string' ? piece : piece.content));
      expect(found.filter((piece) => piece !== '')).toEqual(expected.filter((piece) => piece !== ''));
    }),
  );
});

describe('the work grows with the text', () => {
  const mask = addedToken(1000, '<mask>', { lstrip: true, rstrip: true });
  const alike = [addedToken(1001, `${'-'.repeat(255)}x`), addedToken(1002, `${'-'.repeat(255)}y`)];
  const many = Array.from({ length: 20_000 }, (_, i) => addedToken(2000 + i, `<extra_${i}>`));
  const space = addedToken(1003, ' ', { rstrip: true });
  const tab = addedToken(1004, '\t', { lstrip: true });
  const length = 30_000;
  const repeated = (text: string) => text.repeat(Math.ceil(length / text.length)).slice(0, length);

  test.each([
    ['white space in front of a token', [mask], repeated(`${' '.repeat(5000)}x`), 3],
    ['white space that tokens take along', [mask], repeated('<mask>   '), 3],
    ['white space in which each character is a token', [space, tab], repeated(' '), 5],
    ['the same from behind', [space, tab], repeated('\t'), 5],
    ['beginnings of a token', [mask], repeated('<mas'), 5],
    ['beginnings of 20,000 tokens', many, repeated('<extra_1'), 5],
    ['beginnings of a long token: its length at every place', alike, repeated('-'), 260],
  ])('%s', (_, tokens, text, stepsPerUnit) => {
    const budget = stepsPerUnit * text.length;
    // Stops if it takes too long.
    const work = new Work(() => expect(work.steps).toBeLessThanOrEqual(2 * budget));
    for (const _ of new AddedTokens(tokens).split(text, work));
    expect(work.steps).toBeLessThanOrEqual(budget);
  });
});

test('encoding a text in pieces does not change the result', () => {
  const merges = [
    ['Ċ', 'Ċ'],
    ['Ġ', 'Ġ'],
    ['Ġ', 'a'],
    ['a', 'a'],
    ["'", 's'],
  ] as const;
  const tables = encoderTables(byteTokenizer({ merges }));
  const whole = new BytePairEncoder(tables);
  const inPieces = [0, 2, 3, 5].map((longWordBytes) => new BytePairEncoder(tables, { longWordBytes }));
  const unit = fc.constantFrom('a', 'aa', ' ', '  ', '\n', '\n\n', "'s", '1', '\uFEFF', '\u0085', '🦉', '!');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 20 }), (text) => {
      for (const encoder of inPieces) expect(encoder.encode(text)).toEqual(whole.encode(text));
    }),
    { numRuns: 500 },
  );
  const long = 'aa 1\n\n'.repeat(2000);
  expect(whole.encode(long)).toEqual(inPieces[0]?.encode(long));
  for (const encoder of [whole, ...inPieces]) encoder.dispose();
});
