/** Why an answer is complete: an end-of-sequence token or a stop string appeared (`stop`), or the requested number of tokens was reached. */
export const completionReasons = ['stop', 'length'] as const;
export type CompletionReason = (typeof completionReasons)[number];

/** Why a sequence ended: its answer is complete, its client left (`abort`), or the engine failed (`error`). */
export type FinishReason = CompletionReason | 'abort' | 'error';
