import type { ServedModel, TextCodec } from '../../../core/index.ts';

/** The string that stands for a token in log probabilities. */
export type TokenName = (tokenId: number) => string;

/** Names that no token's text can collide with. */
export const nameById: TokenName = (tokenId) => `token_id:${tokenId}`;

/** Names tokens by their text. Tokens that are only part of a character have names such as `bytes:\xf0\x9f`, as OpenAI gives them. */
export function tokenNames({ codec }: ServedModel): TokenName {
  if (codec === undefined) return nameById;
  const known = caches.get(codec);
  if (known !== undefined) return known;
  const names = cached((tokenId) => nameOf(codec.bytesOf(tokenId)));
  caches.set(codec, names);
  return names;
}

const caches = new WeakMap<TextCodec, TokenName>();

/** A vocabulary is small enough to keep all its names. */
function cached(name: TokenName): TokenName {
  const names = new Map<number, string>();
  return (tokenId) => {
    const known = names.get(tokenId);
    if (known !== undefined) return known;
    const found = name(tokenId);
    names.set(tokenId, found);
    return found;
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function nameOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}
