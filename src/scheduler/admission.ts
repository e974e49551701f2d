/** What an admission policy decides from. */
export interface AdmissionState {
  /** Sequences, some of which may share a prompt. */
  readonly numWaiting: number;
  /** Prompt tokens of the waiting prompts that would find a slot. */
  readonly numWaitingTokens: number;
  readonly numRunning: number;
  /** Free slots behind all sequences. Only these are given to newcomers. */
  readonly numSlotsBehind: number;
  /** How long the prompt at the head of the queue has waited. */
  readonly oldestWaitMs: number;
  /** The longest that a prompt may be held back to be prefilled with others. */
  readonly batchTimeoutMs: number;
}

/** How many waiting sequences may join at this token boundary. */
export type AdmissionPolicy = (state: AdmissionState) => number;

/**
 * Start now if the engine is idle. Otherwise gather newcomers until they are worth a prefill or the oldest has waited long enough.
 * They are worth one if they bring as many tokens as there are rows to delay, or if they fill the free slots.
 * Gathering for longer gains nothing, since prompts share the run that decodes: see docs/speed.md.
 */
export const gatherWhileRunning: AdmissionPolicy = (state) => {
  const { numWaiting, numWaitingTokens, numRunning, numSlotsBehind, oldestWaitMs, batchTimeoutMs } = state;
  const areWorthAPrefill = numWaiting >= numSlotsBehind || numWaitingTokens >= numRunning;
  return areWorthAPrefill || oldestWaitMs >= batchTimeoutMs ? Math.min(numWaiting, numSlotsBehind) : 0;
};
