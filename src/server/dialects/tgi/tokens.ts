import type { PromptEvent, ServedModel, TokenEvent, TokenLogprobs } from '../../../core/index.ts';
import type { PrefillToken, Token } from './schemas.ts';

type Codec = ServedModel['codec'];

/**
 * A token of the answer. Its text is what it adds to the whole text, so the texts of tokens that are not special make up the whole text. A
 * special token adds nothing and has its name instead, unless it releases the rest of an incomplete character: then it counts as an ordinary one.
 */
export function answerToken({ token: { id, logprobs }, text }: TokenEvent, codec: Codec): Token {
  // Log probabilities are asked for wherever they are shown, but a generator of one's own may have none.
  const logprob = logprobs?.logprob ?? 0;
  const special = text === '' && (codec?.isSpecial(id) ?? false);
  return { id, text: special ? nameOf(id, codec) : text, logprob, special };
}

/** The most likely tokens at the position of a token. */
export function topTokens(logprobs: TokenLogprobs | undefined, codec: Codec): Token[] {
  return (logprobs?.top ?? []).map(({ id, logprob }) => ({
    id,
    text: nameOf(id, codec),
    logprob,
    special: codec?.isSpecial(id) ?? false,
  }));
}

export function prefillTokens({ tokenIds, logprobs = [] }: PromptEvent, codec: Codec): PrefillToken[] {
  return tokenIds.map((id, index) => ({ id, text: nameOf(id, codec), logprob: logprobs[index]?.logprob ?? null }));
}

/** The text of a token alone. Parts of a character become U+FFFD. */
function nameOf(tokenId: number, codec: Codec): string {
  return codec === undefined ? '' : Buffer.from(codec.bytesOf(tokenId)).toString();
}
