/** Why generation ended: at an end-of-sequence token or a stop string, or because the maximum number of new tokens was reached. */
export const completionReasons = ['stop', 'length'] as const;
export type CompletionReason = (typeof completionReasons)[number];

/** Why a sequence ended: it is complete, the client disconnected (`abort`), or the engine failed (`error`). */
export type FinishReason = CompletionReason | 'abort' | 'error';
