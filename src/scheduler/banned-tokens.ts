/**
 * Tokens that would complete one of the sequences.
 * Source: `NoBadWordsLogitsProcessor` in https://github.com/huggingface/transformers/blob/main/src/transformers/generation/logits_process.py
 */
export function completingTokens(
  sequences: readonly (readonly number[])[],
  tokenAt: (indexFromEnd: number) => number | undefined,
): number[] {
  return sequences.filter((sequence) => isBegun(sequence, tokenAt)).flatMap((sequence) => sequence.slice(-1));
}

/** Whether the tokens so far end with all of a sequence but its last token. Usually their last one already tells. */
function isBegun(sequence: readonly number[], tokenAt: (indexFromEnd: number) => number | undefined): boolean {
  for (let indexFromEnd = 1; indexFromEnd < sequence.length; indexFromEnd++) {
    if (tokenAt(indexFromEnd) !== sequence.at(-1 - indexFromEnd)) return false;
  }
  return true;
}
