import { bytesOfToken } from './byte-level.ts';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** The text of each id in UTF-8. The text of a special token is its name. Ids outside the vocabulary have none. */
export class TokenBytes {
  readonly #tokenOfId = new Map<number, string>();
  /** Filled on demand: converting a million tokens would add a second to every start. */
  readonly #bytesOfId = new Map<number, Buffer | undefined>();
  readonly #specialIds = new Set<number>();

  constructor(spec: TokenizerSpec) {
    for (const [token, id] of spec.vocab) this.#tokenOfId.set(id, token);
    for (const { id, content, special } of spec.addedTokens) {
      this.#bytesOfId.set(id, Buffer.from(content));
      if (special) this.#specialIds.add(id);
    }
  }

  isSpecial(tokenId: number): boolean {
    return this.#specialIds.has(tokenId);
  }

  spellingOf(tokenId: number): string {
    return this.#tokenOfId.get(tokenId) ?? this.#bytesOfId.get(tokenId)?.toString() ?? '';
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

export interface DecodeOptions {
  readonly skipSpecialTokens: boolean;
}

/** Turns token ids into text, one at a time. A character is returned once its last byte has arrived. */
export class StreamingDecoder {
  readonly #tokenBytes: TokenBytes;
  readonly #skipSpecialTokens: boolean;
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(tokenBytes: TokenBytes, { skipSpecialTokens }: DecodeOptions) {
    this.#tokenBytes = tokenBytes;
    this.#skipSpecialTokens = skipSpecialTokens;
  }

  /** The text that this token completes, which may be empty. */
  push(tokenId: number): string {
    if (this.#skipSpecialTokens && this.#tokenBytes.isSpecial(tokenId)) return '';
    const bytes = this.#tokenBytes.of(tokenId);
    return bytes === undefined ? '' : this.#utf8.decode(bytes, { stream: true });
  }

  /** The rest: U+FFFD if a character is unfinished, else nothing. */
  end(): string {
    return this.#utf8.decode();
  }
}
