/**
 * Why a sequence ended: `stop` (end-of-sequence token or stop string), `length` (`max_new_tokens` or the context),
 * `abort` (its client left), `error` (the engine failed under it).
 */
export type FinishReason = 'stop' | 'length' | 'abort' | 'error';
