import { BytePairEncoder } from './byte-pair-encoder.ts';
import { OffLoopEncoder } from './off-loop-encoder.ts';
import { readTokenizer } from './read-tokenizer.ts';
import { StreamingDecoder, TokenBytes } from './streaming-decoder.ts';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** Texts up to this size are tokenized at once; even a single word of it takes tiktoken only some 5 ms. */
const maxBytesOnLoop = 2048;

/** Text to token ids and back, as the Hugging Face tokenizer of the same folder does it. */
export class Tokenizer {
  readonly #spec: TokenizerSpec;
  readonly #encoder: BytePairEncoder;
  readonly #offLoop: OffLoopEncoder;
  readonly #tokenBytes: TokenBytes;
  readonly #longestTokenBytes: number;

  constructor(spec: TokenizerSpec) {
    this.#spec = spec;
    this.#encoder = new BytePairEncoder(spec);
    this.#offLoop = new OffLoopEncoder(spec);
    this.#tokenBytes = new TokenBytes(spec);
    this.#longestTokenBytes = longestTokenBytes(spec, this.#tokenBytes);
  }

  /** The ids of a text, `</s>` in front as OPT has it. Long texts are tokenized on a worker thread, unless the signal aborts before their turn. */
  async encode(text: string, signal: AbortSignal): Promise<number[]> {
    return Buffer.byteLength(text) <= maxBytesOnLoop ? this.#encoder.encode(text) : this.#offLoop.encode(text, signal);
  }

  /** A number of tokens that {@link encode} will not stay below; known without tokenizing. */
  minTokens(text: string): number {
    const { prefix, suffix } = this.#spec;
    return prefix.length + suffix.length + Math.ceil(Buffer.byteLength(text) / this.#longestTokenBytes);
  }

  createDecoder(): StreamingDecoder {
    return new StreamingDecoder(this.#tokenBytes);
  }

  async dispose(): Promise<void> {
    this.#encoder.dispose();
    await this.#offLoop.dispose();
  }
}

function longestTokenBytes(spec: TokenizerSpec, tokenBytes: TokenBytes): number {
  // Such a token swallows any amount of white space.
  if (spec.addedTokens.some((token) => token.lstrip || token.rstrip)) return Number.POSITIVE_INFINITY;
  return spec.addedTokens.reduce(
    (longest, { content }) => Math.max(longest, Buffer.byteLength(content)),
    tokenBytes.longest,
  );
}

/**
 * The tokenizer of a Hugging Face folder; undefined if it has none.
 * @throws {ModelError} its files are broken
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer | undefined> {
  const spec = await readTokenizer(folder);
  return spec && new Tokenizer(spec);
}
