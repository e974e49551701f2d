import type { Prompt, PromptEvent, TextCodec } from '../../../core/index.ts';
import { TextOffsets } from './text-offsets.ts';

/** The text of a prompt as `echo` repeats it: as the client sent it, unless tokens were cut off. */
export function echoedText(
  { tokenIds }: PromptEvent,
  given: Prompt | undefined,
  { codec, truncateTo }: { readonly codec: TextCodec | undefined; readonly truncateTo: number | undefined },
): string {
  const mayBeCut = truncateTo !== undefined && tokenIds.length >= truncateTo;
  if (typeof given === 'string' && !mayBeCut) return given;
  return codec?.decode(tokenIds, { skipSpecialTokens: typeof given === 'string' }) ?? '';
}

/** Where each token of a prompt begins in its text. Special tokens may have been added that the text does not have. */
export function promptOffsets(tokenIds: readonly number[], text: string, codec: TextCodec | undefined): number[] {
  if (codec === undefined) return tokenIds.map(() => 0);
  const offsets = new TextOffsets(0);
  const bytes = Buffer.from(text);
  let at = 0;
  return tokenIds.map((id) => {
    const token = codec.bytesOf(id);
    const isAdded = codec.isSpecial(id) && !bytes.subarray(at, at + token.length).equals(token);
    if (isAdded) return offsets.add(noBytes);
    at += token.length;
    return offsets.add(token);
  });
}

export const noBytes = new Uint8Array();
