/** What an admission policy decides from. */
export interface AdmissionState {
  readonly numWaiting: number;
  /** Prompt tokens of those who would find a slot. */
  readonly numWaitingTokens: number;
  readonly numRunning: number;
  /** Free slots behind every sequence: only those are given to newcomers. */
  readonly numSlotsBehind: number;
  /** How long the prompt at the head of the queue has waited. */
  readonly oldestWaitMs: number;
  /** The longest that a prompt may be held back to be prefilled with others. */
  readonly batchTimeoutMs: number;
}

/** How many waiting prompts may join at this token boundary. */
export type AdmissionPolicy = (state: AdmissionState) => number;

/**
 * Start now if the engine is idle; otherwise gather newcomers until they are worth a prefill or the oldest has waited long enough.
 * They are worth one when they bring as many tokens as there are rows to be delayed, or take all slots there are for them.
 * More is not gained by gathering, since prompts ride along in the run that decodes: see docs/speed.md.
 */
export const gatherWhileRunning: AdmissionPolicy = (state) => {
  const { numWaiting, numWaitingTokens, numRunning, numSlotsBehind, oldestWaitMs, batchTimeoutMs } = state;
  const areWorthAPrefill = numWaiting >= numSlotsBehind || numWaitingTokens >= numRunning;
  return areWorthAPrefill || oldestWaitMs >= batchTimeoutMs ? Math.min(numWaiting, numSlotsBehind) : 0;
};
