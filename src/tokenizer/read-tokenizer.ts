import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type JsonObject, ModelError, messageOf, readJsonFile, show } from '../core/index.ts';
import type { AddedToken, TokenizerSpec } from './tokenizer-spec.ts';

/**
 * Reads the tokenizer of a Hugging Face folder from `tokenizer.json`, or from `vocab.json` and `merges.txt`.
 * @returns undefined if the folder has neither
 * @throws {ModelError} a file is broken or asks for something other than GPT-2's byte-level BPE
 */
export async function readTokenizer(folder: string): Promise<TokenizerSpec | undefined> {
  const tokenizer = await readJsonFile(folder, 'tokenizer.json');
  const config = (await readJsonFile(folder, 'tokenizer_config.json')) ?? {};
  if (tokenizer !== undefined) return specOfTokenizerJson(tokenizer, config);
  const vocab = await readJsonFile(folder, 'vocab.json');
  const merges = await readText(folder, 'merges.txt');
  if (vocab === undefined && merges === undefined) return undefined;
  expect(
    vocab !== undefined && merges !== undefined,
    `${folder} has one of vocab.json and merges.txt, and lacks the other`,
  );
  const specialTokensMap = (await readJsonFile(folder, 'special_tokens_map.json')) ?? {};
  return specOfVocabAndMerges(vocab, merges, { ...specialTokensMap, ...config });
}

/** Format: https://github.com/huggingface/tokenizers, `Tokenizer::from_file`. */
function specOfTokenizerJson(tokenizer: JsonObject, config: JsonObject): TokenizerSpec {
  const file = 'tokenizer.json';
  const model = asRecord(tokenizer.model, `${file}: model`);
  expect(model.type === undefined || model.type === 'BPE', `${file}: model.type is ${show(model.type)}, not "BPE"`);
  expect(tokenizer.normalizer == null, `${file}: a normalizer is not supported`);
  const preTokenizer = asRecord(tokenizer.pre_tokenizer, `${file}: pre_tokenizer`);
  expect(
    preTokenizer.type === 'ByteLevel' && preTokenizer.use_regex !== false,
    `${file}: pre_tokenizer is ${show(preTokenizer.type)}, not "ByteLevel" with its regular expression`,
  );
  const vocab = vocabOf(asRecord(model.vocab, `${file}: model.vocab`), file);
  const addedTokens = asArray(tokenizer.added_tokens ?? [], `${file}: added_tokens`).map((token) => {
    const record = asRecord(token, `${file}: added_tokens`);
    return addedToken(Number(record.id), record);
  });
  const merges = asArray(model.merges, `${file}: model.merges`).map((merge) => {
    const [left, right] = typeof merge === 'string' ? merge.split(' ') : asArray(merge, `${file}: model.merges`);
    expect(typeof left === 'string' && typeof right === 'string', `${file}: model.merges has ${show(merge)}`);
    return [left, right] as const;
  });
  const bos = bosOf(config, addedTokens, vocab);
  return {
    vocab,
    merges,
    addedTokens,
    ...(templateOf(tokenizer.post_processor, addedTokens) ?? { prefix: bos, suffix: [] }),
    addPrefixSpace: preTokenizer.add_prefix_space === true,
  };
}

/** The slow tokenizer's files, as facebook/opt-125m has them. */
function specOfVocabAndMerges(vocabJson: JsonObject, mergesText: string, config: JsonObject): TokenizerSpec {
  const vocab = vocabOf(vocabJson, 'vocab.json');
  const merges = mergesText
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
    .filter((line) => line !== '' && !line.startsWith('#version'))
    .map((line) => {
      const [left, right, ...rest] = line.split(' ');
      expect(left && right && rest.length === 0, `merges.txt: ${show(line)} is not a pair of tokens`);
      return [left, right] as const;
    });
  const addedTokens = addedTokensOfConfig(config, vocab);
  return {
    vocab,
    merges,
    addedTokens,
    prefix: bosOf(config, addedTokens, vocab),
    suffix: [],
    addPrefixSpace: config.add_prefix_space === true,
  };
}

/** The special tokens of the slow tokenizer's configuration: `added_tokens_decoder`, and the named ones by their place in the vocabulary. */
function addedTokensOfConfig(config: JsonObject, vocab: ReadonlyMap<string, number>): AddedToken[] {
  const byId = new Map<number, AddedToken>();
  for (const name of ['bos_token', 'eos_token', 'unk_token', 'pad_token']) {
    const token = config[name];
    const record = typeof token === 'object' && token !== null ? (token as JsonObject) : { content: token };
    const id = typeof record.content === 'string' ? vocab.get(record.content) : undefined;
    if (id !== undefined) byId.set(id, addedToken(id, { special: true, ...record }));
  }
  const decoder = asRecord(config.added_tokens_decoder ?? {}, 'tokenizer_config.json: added_tokens_decoder');
  for (const [id, token] of Object.entries(decoder)) {
    byId.set(Number(id), addedToken(Number(id), asRecord(token, 'tokenizer_config.json: added_tokens_decoder')));
  }
  return [...byId.values()];
}

/** OPT puts `</s>` in front of every text, unless its folder says otherwise. */
function bosOf(config: JsonObject, addedTokens: readonly AddedToken[], vocab: ReadonlyMap<string, number>): number[] {
  if (config.add_bos_token === false) return [];
  const declared = config.bos_token;
  const content =
    typeof declared === 'object' && declared !== null ? (declared as JsonObject).content : (declared ?? '</s>');
  const id = addedTokens.find((token) => token.content === content)?.id ?? vocab.get(String(content));
  return id === undefined ? [] : [id];
}

/** The ids that a `TemplateProcessing` puts around a single text; undefined if the post-processor is another. */
function templateOf(postProcessor: unknown, addedTokens: readonly AddedToken[]) {
  const processor = postProcessor as JsonObject | null | undefined;
  if (processor?.type !== 'TemplateProcessing') return undefined;
  const prefix: number[] = [];
  const suffix: number[] = [];
  let side = prefix;
  for (const piece of asArray(processor.single, 'tokenizer.json: post_processor.single')) {
    const { SpecialToken: special } = asRecord(piece, 'tokenizer.json: post_processor.single');
    if (special === undefined) {
      side = suffix;
      continue;
    }
    const name = asRecord(special, 'tokenizer.json: post_processor.single').id;
    const id = addedTokens.find((token) => token.content === name)?.id;
    expect(id !== undefined, `tokenizer.json: post_processor names an unknown token ${show(name)}`);
    side.push(id);
  }
  return { prefix, suffix };
}

function addedToken(id: number, record: JsonObject): AddedToken {
  expect(
    Number.isInteger(id) && typeof record.content === 'string' && record.content !== '',
    `the tokenizer has a broken added token: ${show(record)}`,
  );
  return {
    id,
    content: record.content,
    special: record.special === true,
    lstrip: record.lstrip === true,
    rstrip: record.rstrip === true,
    singleWord: record.single_word === true,
  };
}

function vocabOf(record: JsonObject, file: string): Map<string, number> {
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(record)) {
    expect(Number.isInteger(id), `${file}: token ${show(token)} has the id ${show(id)}`);
    vocab.set(token, id as number);
  }
  return vocab;
}

function expect(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ModelError(message);
}

function asRecord(value: unknown, what: string): JsonObject {
  expect(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    `${what} is ${show(value)}, not an object`,
  );
  return value as JsonObject;
}

function asArray(value: unknown, what: string): readonly unknown[] {
  expect(Array.isArray(value), `${what} is ${show(value)}, not a list`);
  return value;
}

async function readText(folder: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(path.join(folder, name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ModelError(`${path.join(folder, name)} cannot be read: ${messageOf(error)}`);
  }
}
