import { execFileSync } from 'node:child_process';
import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../../src/core/index.ts';
import { byteAlphabet } from '../../../src/tokenizer/byte-level.ts';
import { loadTokenizer } from '../../../src/tokenizer/index.ts';
import { tokenizerLimits } from '../../../src/tokenizer/limits.ts';
import { copyOf, reference, temporaryFolder } from '../../support/fixtures.ts';
import { withSpecialTokens } from '../../support/tokenizers.ts';

const { maxFileBytes, maxTokens, maxMerges, maxAddedTokens, maxTokenLength, maxAddedTokenLength } = tokenizerLimits;
const bytes = Object.fromEntries(byteAlphabet.map((char, byte) => [char, byte]));

function tokenizerJson({ vocab = bytes as object, merges = [] as unknown, added_tokens = [] as unknown }): string {
  return JSON.stringify({ model: { type: 'BPE', vocab, merges }, pre_tokenizer: { type: 'ByteLevel' }, added_tokens });
}

async function folderWith(content: string, file = 'tokenizer.json'): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, file), content);
  return folder;
}

async function refusal(folder: string): Promise<string> {
  const error: unknown = await loadTokenizer(folder).catch((thrown: unknown) => thrown);
  if (error instanceof ModelError) return error.message;
  throw new Error('it was not refused', { cause: error });
}

const added = (count: number) => Array.from({ length: count }, (_, i) => ({ id: 256 + i, content: `<${i}>` }));

describe('a tokenizer is refused if it has', () => {
  test('a long added token', async () => {
    const withToken = (length: number) =>
      folderWith(tokenizerJson({ added_tokens: [{ id: 256, content: 'x'.repeat(length) }] }));
    expect(await refusal(await withToken(100_000))).toMatch(
      /added token "x{59}… has 100000 characters; at most 256 are allowed$/,
    );
    expect(await loadTokenizer(await withToken(maxAddedTokenLength))).toBeDefined();
  });

  test('too many added tokens', async () => {
    const folder = await folderWith(tokenizerJson({ added_tokens: added(maxAddedTokens + 1) }));
    expect(await refusal(folder)).toBe('tokenizer.json: added_tokens has 131073 entries; at most 131072 are allowed');
  });

  test('too many merges', async () => {
    const merges = new Array<string>(maxMerges + 1).fill('a a');
    expect(await refusal(await folderWith(tokenizerJson({ merges })))).toBe(
      'tokenizer.json: model.merges has 2097153 entries; at most 2097152 are allowed',
    );
    const folder = await copyOf(reference('tokenizer'), ['vocab.json']);
    await writeFile(path.join(folder, 'merges.txt'), `${merges.join('\n')}`);
    expect(await refusal(folder)).toBe('merges.txt has 2097153 entries; at most 2097152 are allowed');
  });

  test('too large a vocabulary', async () => {
    const vocab = Object.fromEntries(Array.from({ length: maxTokens + 1 }, (_, i) => [`x${i}`, i]));
    expect(await refusal(await folderWith(tokenizerJson({ vocab })))).toBe(
      'tokenizer.json: model.vocab has 1048577 entries; at most 1048576 are allowed',
    );
  });

  test('too many entries to parse quickly', async () => {
    // It only seems so, because punctuation inside strings counts, too.
    expect(await refusal(await folderWith(`{"a": "${':'.repeat(9_000_000)}"}`))).toMatch(
      /tokenizer\.json has about 9000001 keys; at most 2097152 are allowed$/,
    );
  });

  test('too many tokens around every text', async () => {
    const pieces = new Array(100_000).fill({ SpecialToken: { id: '<0>' } });
    const post_processor = { type: 'TemplateProcessing', single: pieces };
    const tokenizer = { ...JSON.parse(tokenizerJson({ added_tokens: added(1) })), post_processor };
    expect(await refusal(await folderWith(JSON.stringify(tokenizer)))).toBe(
      'tokenizer.json: post_processor.single has 100000 entries; at most 64 are allowed',
    );
  });

  test('a long token', async () => {
    const merged = (length: number) => ({ ...bytes, ['x'.repeat(length - 1)]: 256, ['x'.repeat(length)]: 257 });
    const withMerge = (length: number) =>
      folderWith(tokenizerJson({ vocab: merged(length), merges: [['x'.repeat(length - 1), 'x']] }));
    expect(await refusal(await withMerge(maxTokenLength + 1))).toMatch(
      /token "x{59}… has 4097 bytes; at most 4096 are allowed$/,
    );
    expect(await loadTokenizer(await withMerge(maxTokenLength))).toBeDefined();
  });

  test.each([
    ['a negative id', { vocab: { a: -1 } }, /token "a" has the id -1$/],
    ['an id beyond 31 bits', { vocab: { a: 2 ** 31 } }, /token "a" has the id 2147483648$/],
    ['an added token with such an id', { added_tokens: [{ id: -1, content: 'a' }] }, /broken added token/],
    [
      'an added token that ends inside a character',
      { added_tokens: [{ id: 1, content: '\ud83e' }] },
      /broken added token/,
    ],
    ['a merge of three', { merges: ['a a a'] }, /model\.merges has "a a a"$/],
    ['a merge of one', { merges: [['a']] }, /model\.merges has \["a"\]$/],
  ])('%s', async (_, changes, message) => {
    expect(await refusal(await folderWith(tokenizerJson(changes)))).toMatch(message);
  });

  test.each(['tokenizer.json', 'vocab.json', 'merges.txt', 'tokenizer_config.json'])('a huge %s', async (file) => {
    const folder = await copyOf(reference('tokenizer'), ['vocab.json', 'merges.txt']);
    await writeFile(path.join(folder, file), '{}');
    await truncate(path.join(folder, file), maxFileBytes + 1);
    expect(await refusal(folder)).toMatch(/ has 134,217,729 bytes; at most 134,217,728 are allowed$/);
  });

  test.skipIf(process.platform === 'win32').each(['tokenizer.json', 'merges.txt'])('a FIFO as %s', async (file) => {
    const folder = await copyOf(reference('tokenizer'), ['vocab.json']);
    execFileSync('mkfifo', [path.join(folder, file)]);
    expect(await refusal(folder)).toMatch(/it is .*, not a regular file$/);
  });
});

test('many added tokens are supported', async () => {
  const folder = await folderWith(tokenizerJson({ added_tokens: added(50_000) }));
  const tokenizer = await loadTokenizer(folder);
  expect(await tokenizer?.encode('a<49999><50000>', withSpecialTokens)).toEqual([
    0x61,
    256 + 49_999,
    ...Buffer.from('<50000>'),
  ]);
  await tokenizer?.dispose();
});
