import { setImmediate } from 'node:timers/promises';
import type { EncodeOptions, TextCodec } from '../core/index.ts';
import { BytePairEncoder } from './byte-pair-encoder.ts';
import { encoderTables } from './encoder-tables.ts';
import { TokenCountBound } from './min-tokens.ts';
import { OffLoopEncoder } from './off-loop-encoder.ts';
import { readTokenizer } from './read-tokenizer.ts';
import { type DecodeOptions, StreamingDecoder, TokenBytes } from './streaming-decoder.ts';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** Texts up to this size are tokenized on the event loop. Even if such a text is a single word, that takes only about 5 ms. */
const maxBytesOnLoop = 2048;

/** Converts text to token ids and back, exactly like the Hugging Face tokenizer of the same folder. */
export class Tokenizer implements TextCodec {
  /** Special tokens in front of every text. */
  readonly numPrefixTokens: number;
  readonly #encoder: BytePairEncoder;
  readonly #offLoop: OffLoopEncoder;
  readonly #tokenBytes: TokenBytes;
  readonly #tokenCountBound: TokenCountBound;

  /** @param tables the tables of `spec` */
  constructor(spec: TokenizerSpec, tables = encoderTables(spec)) {
    // Encoding long words needs a second table, and building it would block the event loop.
    this.#encoder = new BytePairEncoder(tables, { longWordBytes: Number.POSITIVE_INFINITY });
    this.#offLoop = new OffLoopEncoder(tables);
    this.numPrefixTokens = spec.prefix.length;
    this.#tokenBytes = new TokenBytes(spec);
    this.#tokenCountBound = new TokenCountBound(spec);
  }

  async encode(text: string, { addSpecialTokens, ...options }: EncodeOptions): Promise<number[]> {
    return Buffer.byteLength(text) <= maxBytesOnLoop
      ? this.#encoder.encode(text, { addSpecialTokens })
      : this.#offLoop.encode({ text, addSpecialTokens }, options);
  }

  /** A lower bound for the number of ids that {@link encode} returns, found without tokenizing. */
  minTokens(text: string, options: { readonly addSpecialTokens: boolean }): number {
    return this.#tokenCountBound.of(text, options);
  }

  decode(tokenIds: readonly number[], options: DecodeOptions): string {
    const decoder = this.createDecoder(options);
    return tokenIds.map((id) => decoder.push(id)).join('') + decoder.end();
  }

  bytesOf(tokenId: number): Uint8Array {
    return this.#tokenBytes.of(tokenId) ?? new Uint8Array();
  }

  isSpecial(tokenId: number): boolean {
    return this.#tokenBytes.isSpecial(tokenId);
  }

  spellingOf(tokenId: number): string {
    return this.#tokenBytes.spellingOf(tokenId);
  }

  /** Decodes token by token. */
  createDecoder(options: DecodeOptions): StreamingDecoder {
    return new StreamingDecoder(this.#tokenBytes, options);
  }

  async dispose(): Promise<void> {
    this.#encoder.dispose();
    await this.#offLoop.dispose();
  }
}

/**
 * Loads the tokenizer of a Hugging Face folder. Returns undefined if the folder has none.
 * @throws {ModelError} the tokenizer is broken, unsupported, or larger than any real one
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer | undefined> {
  const spec = await readTokenizer(folder);
  if (spec === undefined) return undefined;
  // Each of these steps may take a second. In between, signals are handled.
  await setImmediate();
  const tables = encoderTables(spec);
  await setImmediate();
  return new Tokenizer(spec, tables);
}
