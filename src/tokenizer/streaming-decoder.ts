import { bytesOfToken } from './byte-level.ts';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** The text bytes of each id; nothing for special tokens and for ids outside the vocabulary. */
export class TokenBytes {
  readonly #tokenOfId = new Map<number, string>();
  /** Made when they are first needed: making those of a million tokens would take a second at every start. */
  readonly #bytesOfId = new Map<number, Buffer | undefined>();

  constructor(spec: TokenizerSpec) {
    for (const [token, id] of spec.vocab) this.#tokenOfId.set(id, token);
    for (const { id, content, special } of spec.addedTokens) {
      this.#bytesOfId.set(id, special ? undefined : Buffer.from(content));
    }
  }

  of(tokenId: number): Buffer | undefined {
    const known = this.#bytesOfId.get(tokenId);
    if (known !== undefined || this.#bytesOfId.has(tokenId)) return known;
    const token = this.#tokenOfId.get(tokenId);
    const bytes = token === undefined ? undefined : (bytesOfToken(token) ?? Buffer.from(token));
    this.#bytesOfId.set(tokenId, bytes);
    return bytes;
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
