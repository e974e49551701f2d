import { setImmediate } from 'node:timers/promises';
import { ModelError, show, tokenizerFiles } from '../core/index.ts';
import { type JsonObject, readJsonFile, readTextFile } from '../files/index.ts';
import { tokenizerLimits } from './limits.ts';
import type { AddedToken, TokenizerSpec } from './tokenizer-spec.ts';

const { maxFileBytes, maxTokens, maxMerges, maxAddedTokens, maxAddedTokenLength, maxTemplatePieces } = tokenizerLimits;

/** An added token has seven keys, and a merge is a list of two values. */
const fileLimits = {
  maxBytes: maxFileBytes,
  maxKeys: maxTokens + 8 * maxAddedTokens,
  maxValues: maxTokens + 3 * maxMerges + 8 * maxAddedTokens,
};

/**
 * Reads the tokenizer of a Hugging Face folder from `tokenizer.json`, or from `vocab.json` and `merges.txt`.
 * Returns undefined if the folder has none of them.
 * @throws {ModelError} a file is broken or too large, or describes something other than GPT-2's byte-level BPE
 */
export async function readTokenizer(folder: string): Promise<TokenizerSpec | undefined> {
  const tokenizer = await readJsonFile(folder, tokenizerFiles.tokenizer, fileLimits);
  const config = (await readJsonFile(folder, tokenizerFiles.config, fileLimits)) ?? {};
  if (tokenizer !== undefined) return specOfTokenizerJson(tokenizer, config);
  const vocab = await readJsonFile(folder, tokenizerFiles.vocab, fileLimits);
  const merges = await readTextFile(folder, tokenizerFiles.merges, fileLimits);
  if (vocab === undefined && merges === undefined) return undefined;
  expect(
    vocab !== undefined && merges !== undefined,
    `${folder} has only one of ${tokenizerFiles.vocab} and ${tokenizerFiles.merges}`,
  );
  const specialTokensMap = (await readJsonFile(folder, tokenizerFiles.specialTokens, fileLimits)) ?? {};
  return specOfVocabAndMerges(vocab, merges, { ...specialTokensMap, ...config });
}

/** Format: https://github.com/huggingface/tokenizers, `Tokenizer::from_file`. */
async function specOfTokenizerJson(tokenizer: JsonObject, config: JsonObject): Promise<TokenizerSpec> {
  const file = tokenizerFiles.tokenizer;
  const model = asRecord(tokenizer.model, `${file}: model`);
  expect(model.type === undefined || model.type === 'BPE', `${file}: model.type is ${show(model.type)}, not "BPE"`);
  expect(tokenizer.normalizer == null, `${file}: a normalizer is not supported`);
  const preTokenizer = asRecord(tokenizer.pre_tokenizer, `${file}: pre_tokenizer`);
  expect(
    preTokenizer.type === 'ByteLevel' && preTokenizer.use_regex !== false,
    `${file}: pre_tokenizer is ${show(preTokenizer.type)}, not "ByteLevel" with its regular expression`,
  );
  const declaredTokens = asArray(tokenizer.added_tokens ?? [], `${file}: added_tokens`);
  expectAtMost(maxAddedTokens, declaredTokens.length, `${file}: added_tokens`);
  const addedTokens = declaredTokens.map((token) => {
    const record = asRecord(token, `${file}: added_tokens`);
    return addedToken(Number(record.id), record);
  });
  const declaredMerges = asArray(model.merges, `${file}: model.merges`);
  expectAtMost(maxMerges, declaredMerges.length, `${file}: model.merges`);
  const vocab = vocabOf(asRecord(model.vocab, `${file}: model.vocab`), `${file}: model.vocab`);
  // Reading a large tokenizer takes a while. Here, signals are handled.
  await setImmediate();
  const merges = declaredMerges.map((merge) => {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    return isPair(pair) ? pair : refuse(`${file}: model.merges has ${show(merge)}`);
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

/** The files of a slow tokenizer, as in facebook/opt-125m. */
function specOfVocabAndMerges(vocabJson: JsonObject, mergesText: string, config: JsonObject): TokenizerSpec {
  const vocab = vocabOf(vocabJson, tokenizerFiles.vocab);
  const lines = mergesText.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#version'));
  expectAtMost(maxMerges, lines.length, tokenizerFiles.merges);
  const merges = lines.map((line) => {
    const pair = line.split(' ');
    return isPair(pair) ? pair : refuse(`${tokenizerFiles.merges}: ${show(line)} is not a pair of tokens`);
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

/** The special tokens of a slow tokenizer: those in `added_tokens_decoder`, and the named ones with their ids in the vocabulary. */
function addedTokensOfConfig(config: JsonObject, vocab: ReadonlyMap<string, number>): AddedToken[] {
  const byId = new Map<number, AddedToken>();
  for (const name of ['bos_token', 'eos_token', 'unk_token', 'pad_token']) {
    const token = config[name];
    const record = typeof token === 'object' && token !== null ? (token as JsonObject) : { content: token };
    const id = typeof record.content === 'string' ? vocab.get(record.content) : undefined;
    if (id !== undefined) byId.set(id, addedToken(id, { special: true, ...record }));
  }
  const where = `${tokenizerFiles.config}: added_tokens_decoder`;
  const decoder = Object.entries(asRecord(config.added_tokens_decoder ?? {}, where));
  expectAtMost(maxAddedTokens, decoder.length, where);
  for (const [id, token] of decoder) byId.set(Number(id), addedToken(Number(id), asRecord(token, where)));
  return [...byId.values()];
}

/** The ids before every text when no template says otherwise: the model's `bos_token`, by default `</s>`. */
function bosOf(config: JsonObject, addedTokens: readonly AddedToken[], vocab: ReadonlyMap<string, number>): number[] {
  if (config.add_bos_token === false) return [];
  const declared = config.bos_token;
  const content =
    typeof declared === 'object' && declared !== null ? (declared as JsonObject).content : (declared ?? '</s>');
  const id = addedTokens.find((token) => token.content === content)?.id ?? vocab.get(String(content));
  return id === undefined ? [] : [id];
}

/** The ids that a `TemplateProcessing` puts around a text; undefined for any other post-processor. */
function templateOf(postProcessor: unknown, addedTokens: readonly AddedToken[]) {
  const processor = postProcessor as JsonObject | null | undefined;
  if (processor?.type !== 'TemplateProcessing') return undefined;
  const prefix: number[] = [];
  const suffix: number[] = [];
  let side = prefix;
  const where = `${tokenizerFiles.tokenizer}: post_processor.single`;
  const pieces = asArray(processor.single, where);
  expectAtMost(maxTemplatePieces, pieces.length, where);
  for (const piece of pieces) {
    const { SpecialToken: special } = asRecord(piece, where);
    if (special === undefined) {
      side = suffix;
      continue;
    }
    const name = asRecord(special, where).id;
    const id = addedTokens.find((token) => token.content === name)?.id;
    expect(id !== undefined, `${tokenizerFiles.tokenizer}: post_processor names an unknown token ${show(name)}`);
    side.push(id);
  }
  return { prefix, suffix };
}

function addedToken(id: number, record: JsonObject): AddedToken {
  const { content } = record;
  expect(
    isTokenId(id) && typeof content === 'string' && content !== '' && content.isWellFormed(),
    `the tokenizer has a broken added token: ${show(record)}`,
  );
  expect(
    content.length <= maxAddedTokenLength,
    `the tokenizer's added token ${show(content)} has ${content.length} characters; at most ${maxAddedTokenLength} are allowed`,
  );
  const special = record.special === true;
  return {
    id,
    content,
    special,
    lstrip: record.lstrip === true,
    rstrip: record.rstrip === true,
    singleWord: record.single_word === true,
    normalized: record.normalized === undefined ? !special : record.normalized === true,
  };
}

function vocabOf(record: JsonObject, where: string): Map<string, number> {
  const tokens = Object.keys(record);
  expectAtMost(maxTokens, tokens.length, where);
  const vocab = new Map<string, number>();
  for (const token of tokens) {
    const id = record[token];
    vocab.set(token, isTokenId(id) ? id : refuse(`${where}: token ${show(token)} has the id ${show(id)}`));
  }
  return vocab;
}

function isTokenId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 31;
}

function isPair(value: unknown): value is readonly [string, string] {
  return (
    Array.isArray(value) && value.length === 2 && value.every((token) => typeof token === 'string' && token !== '')
  );
}

function expectAtMost(limit: number, count: number, where: string): void {
  expect(count <= limit, `${where} has ${count} entries; at most ${limit} are allowed`);
}

/** For messages that cost more than the check. `expect` needs its message in any case. */
function refuse(message: string): never {
  throw new ModelError(message);
}

function expect(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ModelError(message);
}

function asRecord(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  return refuse(`${what} is ${show(value)}, not an object`);
}

function asArray(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(`${what} is ${show(value)}, not a list`);
}
