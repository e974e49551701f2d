/**
 * Tokens that would complete one of the sequences.
 * Source: `NoBadWordsLogitsProcessor` in https://github.com/huggingface/transformers/blob/main/src/transformers/generation/logits_process.py
 */
export function completingTokens(
  sequences: readonly (readonly number[])[],
  tokenAt: (indexFromEnd: number) => number | undefined,
): number[] {
  const isBegun = (sequence: readonly number[]) =>
    sequence.slice(0, -1).every((id, i) => tokenAt(sequence.length - 1 - i) === id);
  return sequences.filter(isBegun).flatMap((sequence) => sequence.slice(-1));
}
