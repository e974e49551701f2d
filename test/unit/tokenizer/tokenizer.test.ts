import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../../src/core/index.ts';
import { BytePairEncoder } from '../../../src/tokenizer/byte-pair-encoder.ts';
import { encoderTables } from '../../../src/tokenizer/encoder-tables.ts';
import { loadTokenizer, Tokenizer, type TokenizerSpec } from '../../../src/tokenizer/index.ts';
import { readTokenizer } from '../../../src/tokenizer/read-tokenizer.ts';
import {
  copyOf,
  embeddedModel,
  expectedCases,
  patchJson,
  reference,
  type TokenizerCase,
  temporaryFolder,
} from '../../support/fixtures.ts';
import { addedToken, byteTokenizer, withoutSpecialTokens, withSpecialTokens } from '../../support/tokenizers.ts';

async function tokenizerOf(folder: string): Promise<Tokenizer> {
  const tokenizer = await loadTokenizer(folder);
  if (tokenizer === undefined) throw new Error(`${folder} has no tokenizer`);
  return tokenizer;
}

const encode = (tokenizer: Tokenizer, text: string) => tokenizer.encode(text, withSpecialTokens);

function decode(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  const decoder = tokenizer.createDecoder({ skipSpecialTokens: true });
  return [...ids.map((id) => decoder.push(id)), decoder.end()];
}

const cases = expectedCases<TokenizerCase>(reference('tokenizer'));

describe.each([
  ['tokenizer.json', embeddedModel],
  ['vocab.json and merges.txt', reference('tokenizer')],
])('from %s', (_, folder) => {
  test('every text gets the same ids as with Hugging Face', async () => {
    const tokenizer = await tokenizerOf(folder);
    expect(cases.length).toBeGreaterThan(50);
    for (const { text, ids } of cases) expect([text, await encode(tokenizer, text)]).toEqual([text, ids]);
  });

  test('every text gets the same ids without special tokens as with Hugging Face', async () => {
    const tokenizer = await tokenizerOf(folder);
    for (const { text, ids_without_special: ids } of cases) {
      expect([text, await tokenizer.encode(text, withoutSpecialTokens)]).toEqual([text, ids]);
      expect(tokenizer.minTokens(text, withoutSpecialTokens)).toBeLessThanOrEqual(ids.length);
    }
  });

  test('ids are decoded to the same texts as with Hugging Face', async () => {
    const tokenizer = await tokenizerOf(folder);
    for (const { ids_without_special: ids, decoded } of cases) {
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(decoded);
    }
  });

  test('any text without special tokens is restored, in whole characters', async () => {
    const tokenizer = await tokenizerOf(folder);
    const text = fc.string({ unit: 'binary', maxLength: 60 }).filter((s) => !/<\/?(s|pad|unk)>/.test(s));
    await fc.assert(
      fc.asyncProperty(text, async (original) => {
        const pieces = decode(tokenizer, await encode(tokenizer, original));
        expect(pieces.join('')).toBe(original);
        expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
      }),
    );
  });
});

test('a character is returned once its last byte has arrived; an unfinished one becomes U+FFFD', async () => {
  const tokenizer = await tokenizerOf(embeddedModel);
  const ids = (await encode(tokenizer, '🦉')).slice(1);
  expect(ids.length).toBeGreaterThan(1);
  expect(decode(tokenizer, ids)).toEqual([...ids.slice(1).map(() => ''), '🦉', '']);
  expect(decode(tokenizer, ids.slice(0, -1)).at(-1)).toBe('\uFFFD');
});

describe('decoding', () => {
  const special = addedToken(256, '<end>');
  const plain = addedToken(257, '<é>', { special: false });
  const tokenizer = new Tokenizer(byteTokenizer({ addedTokens: [special, plain] }));
  const owl = [...Buffer.from('🦉')];

  test('shows special tokens by name, or skips them', () => {
    const ids = [0x61, 256, 0x62, 257];
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe('a<end>b<é>');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('ab<é>');
  });

  test('a skipped token does not split a character; a shown one does', () => {
    const ids = [...owl.slice(0, 2), 256, ...owl.slice(2)];
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('🦉');
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe('\uFFFD<end>\uFFFD\uFFFD');
  });

  test('token by token gives the same text', () => {
    for (const skipSpecialTokens of [true, false]) {
      const ids = [...owl, 256, 257, ...owl.slice(0, 3)];
      const decoder = tokenizer.createDecoder({ skipSpecialTokens });
      const pieces = [...ids.map((id) => decoder.push(id)), decoder.end()];
      expect(pieces.join('')).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
    }
  });

  test('tells the bytes of a token, and whether it is special', () => {
    const tokens = [0x61, owl[0] ?? 0, 256, 257, 99_999];
    expect(tokens.map((id) => [...tokenizer.bytesOf(id)])).toEqual([
      [0x61],
      owl.slice(0, 1),
      [...Buffer.from('<end>')],
      [...Buffer.from('<é>')],
      [],
    ]);
    expect(tokens.map((id) => tokenizer.isSpecial(id))).toEqual([false, false, true, false, false]);
  });
});

test('special tokens are left out of a text that asks for none', async () => {
  const tokenizer = new Tokenizer(byteTokenizer({ prefix: [256, 257], suffix: [258] }));
  expect(await tokenizer.encode('a', withSpecialTokens)).toEqual([256, 257, 0x61, 258]);
  expect(await tokenizer.encode('a', withoutSpecialTokens)).toEqual([0x61]);
  expect(tokenizer.minTokens('', withSpecialTokens)).toBe(3);
  expect(tokenizer.minTokens('', withoutSpecialTokens)).toBe(0);
});

test('special tokens and ids outside the vocabulary decode to nothing', async () => {
  expect(decode(await tokenizerOf(embeddedModel), [2, 0, 3072, 50_000]).join('')).toBe('');
});

test('the lower bound is never above the number of ids', async () => {
  const tokenizer = await tokenizerOf(embeddedModel);
  for (const { text, ids } of cases)
    expect(tokenizer.minTokens(text, withSpecialTokens)).toBeLessThanOrEqual(ids.length);
  expect(tokenizer.minTokens('x'.repeat(96_000), withSpecialTokens)).toBeGreaterThan(512);
});

describe('added tokens', () => {
  const plain = { special: true, lstrip: false, rstrip: false, singleWord: false, normalized: false };
  const spec = (addedTokens: TokenizerSpec['addedTokens']): TokenizerSpec => ({
    vocab: new Map([
      ['a', 0],
      ['b', 1],
      ['Ġ', 2],
      ['<m>', 3],
      ['<mm>', 4],
    ]),
    merges: [],
    addedTokens,
    prefix: [],
    suffix: [],
    addPrefixSpace: false,
  });

  test('swallow the white space next to them if declared so', async () => {
    const tokenizer = new Tokenizer(spec([{ ...plain, id: 3, content: '<m>', lstrip: true }]));
    expect(await encode(tokenizer, 'a  <m> b')).toEqual([0, 3, 2, 1]);
  });

  test('match only between words if declared so', async () => {
    const tokenizer = new Tokenizer(spec([{ ...plain, id: 3, content: 'ab', singleWord: true }]));
    expect(await encode(tokenizer, 'ab aab')).toEqual([3, 2, 0, 0, 1]);
  });

  test('may hold any characters', async () => {
    const contents = ['<end-of-turn>', '[a|b]', '\\', ' b'];
    const tokens = contents.map((content, i) => ({ ...plain, id: 10 + i, content }));
    const tokenizer = new Tokenizer(spec(tokens));
    for (const [i, content] of contents.entries()) expect(await encode(tokenizer, `a${content}`)).toEqual([0, 10 + i]);
  });

  test('match the longest one', async () => {
    const tokenizer = new Tokenizer(
      spec([
        { ...plain, id: 3, content: '<m' },
        { ...plain, id: 4, content: '<mm>' },
      ]),
    );
    expect(await encode(tokenizer, '<mm>')).toEqual([4]);
  });
});

test('a space is prepended if the tokenizer asks for it, unless the text begins with a space', async () => {
  const vocab = new Map(['a', 'Ġ', 'Ċ'].map((token, id) => [token, id]));
  const tokenizer = new Tokenizer({ vocab, merges: [], addedTokens: [], prefix: [], suffix: [], addPrefixSpace: true });
  expect(await encode(tokenizer, 'a')).toEqual([1, 0]);
  expect(await encode(tokenizer, ' a')).toEqual([1, 0]);
  expect(await encode(tokenizer, '\na')).toEqual([1, 2, 0]);
});

describe('long words', () => {
  test('are merged like tiktoken merges them', async () => {
    const spec = await readTokenizer(embeddedModel);
    if (spec === undefined) throw new Error('unreachable');
    const whole = new BytePairEncoder(encoderTables(spec));
    const inPieces = new BytePairEncoder(encoderTables(spec), { longWordBytes: 0 });
    const word = fc.string({
      unit: fc.constantFrom('a', 'e', 'h', 'n', 't', 'he', 'the', 'and', 'é', '漢', ' ', '\n'),
      maxLength: 60,
    });
    fc.assert(
      fc.property(word, (text) => {
        expect(inPieces.encode(text)).toEqual(whole.encode(text));
      }),
      { numRuns: 500 },
    );
  });

  test('in a text do not change the words around them', async () => {
    const tokenizer = await tokenizerOf(embeddedModel);
    const long = 'x'.repeat(600);
    const around = async (text: string) => (await encode(tokenizer, text)).length;
    expect(await around(`Once\n\n${long} upon`)).toBe((await around(`Once\n\nx upon`)) + 599);
  });
});

describe('a folder', () => {
  test('without a tokenizer has none', async () => {
    expect(await loadTokenizer(reference('opt-mini'))).toBeUndefined();
  });

  test('like that of opt-125m: special tokens by name, `</s>` in front', async () => {
    const folder = await copyOf(reference('tokenizer'), ['vocab.json', 'merges.txt']);
    const token = { content: '</s>', single_word: false, lstrip: false, rstrip: false, normalized: true };
    const special = { bos_token: token, eos_token: token, unk_token: token, pad_token: '<pad>' };
    await writeFile(path.join(folder, 'special_tokens_map.json'), JSON.stringify(special));
    const tokenizer = await tokenizerOf(folder);
    expect(await encode(tokenizer, '</s><pad>')).toEqual([2, 2, 1]);
    expect((await encode(tokenizer, '<s>')).length).toBeGreaterThan(2);
  });

  test.each([
    ['of another kind', { model: { type: 'Unigram' } }, /model\.type is "Unigram"/],
    ['with a normalizer', { normalizer: { type: 'NFC' } }, /normalizer/],
    ['that cuts words in another way', { pre_tokenizer: { type: 'Whitespace' } }, /pre_tokenizer is "Whitespace"/],
    [
      'whose merges result in no token',
      { model: { vocab: { a: 0 }, merges: ['a b'] } },
      /"a" and "b", but the result is not in its vocabulary/,
    ],
  ])('with a tokenizer.json %s is refused', async (_, changes, message) => {
    const folder = await copyOf(embeddedModel, ['tokenizer.json']);
    await patchJson(path.join(folder, 'tokenizer.json'), changes);
    await expect(loadTokenizer(folder)).rejects.toThrow(message);
    await expect(loadTokenizer(folder)).rejects.toThrow(ModelError);
  });

  test('with a vocabulary but without merges is refused', async () => {
    const folder = await copyOf(reference('tokenizer'), ['vocab.json']);
    await expect(loadTokenizer(folder)).rejects.toThrow(/has only one of vocab\.json and merges\.txt/);
  });

  test('with a tokenizer.json that is not JSON is refused', async () => {
    const folder = await temporaryFolder();
    await writeFile(path.join(folder, 'tokenizer.json'), '{"model": ');
    await expect(loadTokenizer(folder)).rejects.toThrow(/tokenizer\.json cannot be read as JSON/);
  });
});
