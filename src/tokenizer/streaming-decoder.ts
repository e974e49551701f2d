import { bytesOfToken } from './byte-level.ts';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** The text bytes of each id; nothing for special tokens and for ids outside the vocabulary. */
export class TokenBytes {
  readonly #bytesOfId = new Map<number, Buffer>();

  constructor(spec: TokenizerSpec) {
    for (const [token, id] of spec.vocab) this.#bytesOfId.set(id, bytesOfToken(token) ?? Buffer.from(token));
    for (const { id, content, special } of spec.addedTokens) {
      if (special) this.#bytesOfId.delete(id);
      else this.#bytesOfId.set(id, Buffer.from(content));
    }
  }

  of(tokenId: number): Buffer | undefined {
    return this.#bytesOfId.get(tokenId);
  }

  /** The most bytes that one token stands for. */
  get longest(): number {
    let longest = 1;
    for (const bytes of this.#bytesOfId.values()) longest = Math.max(longest, bytes.length);
    return longest;
  }
}

/** Token ids to text, one at a time; a character comes out when its last byte has come in. */
export class StreamingDecoder {
  readonly #tokenBytes: TokenBytes;
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(tokenBytes: TokenBytes) {
    this.#tokenBytes = tokenBytes;
  }

  /** The text that this token completes; may be empty. */
  push(tokenId: number): string {
    const bytes = this.#tokenBytes.of(tokenId);
    return bytes === undefined ? '' : this.#utf8.decode(bytes, { stream: true });
  }

  /** What is left of an unfinished character: U+FFFD, or nothing. */
  end(): string {
    return this.#utf8.decode();
  }
}
