import { setImmediate } from 'node:timers/promises';
import { BytePairEncoder } from './byte-pair-encoder.ts';
import { encoderTables } from './encoder-tables.ts';
import { TokenCountBound } from './min-tokens.ts';
import { OffLoopEncoder } from './off-loop-encoder.ts';
import { readTokenizer } from './read-tokenizer.ts';
import { StreamingDecoder, TokenBytes } from './streaming-decoder.ts';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** Texts up to this size are tokenized at once; even a single word of it takes tiktoken only some 5 ms. */
const maxBytesOnLoop = 2048;

/** Text to token ids and back, as the Hugging Face tokenizer of the same folder does it. */
export class Tokenizer {
  readonly #encoder: BytePairEncoder;
  readonly #offLoop: OffLoopEncoder;
  readonly #tokenBytes: TokenBytes;
  readonly #tokenCountBound: TokenCountBound;

  /** @param tables those of the specification */
  constructor(spec: TokenizerSpec, tables = encoderTables(spec)) {
    // Encoding long words takes another table, which would be made while everybody waits.
    this.#encoder = new BytePairEncoder(tables, { longWordBytes: Number.POSITIVE_INFINITY });
    this.#offLoop = new OffLoopEncoder(tables);
    this.#tokenBytes = new TokenBytes(spec);
    this.#tokenCountBound = new TokenCountBound(spec);
  }

  /** The ids of a text, `</s>` in front as OPT has it. Long texts are tokenized on a worker thread, which stops when the signal aborts. */
  async encode(text: string, signal: AbortSignal): Promise<number[]> {
    return Buffer.byteLength(text) <= maxBytesOnLoop ? this.#encoder.encode(text) : this.#offLoop.encode(text, signal);
  }

  /** A number of tokens that {@link encode} will not stay below; known without tokenizing. */
  minTokens(text: string): number {
    return this.#tokenCountBound.of(text);
  }

  createDecoder(): StreamingDecoder {
    return new StreamingDecoder(this.#tokenBytes);
  }

  async dispose(): Promise<void> {
    this.#encoder.dispose();
    await this.#offLoop.dispose();
  }
}

/**
 * The tokenizer of a Hugging Face folder; undefined if it has none.
 * @throws {ModelError} its files are broken, or larger than any real tokenizer's
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer | undefined> {
  const spec = await readTokenizer(folder);
  if (spec === undefined) return undefined;
  // Each of these steps may take a second: signals are to be heard in between.
  await setImmediate();
  const tables = encoderTables(spec);
  await setImmediate();
  return new Tokenizer(spec, tables);
}
