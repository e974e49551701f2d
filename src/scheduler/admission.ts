/** What an admission policy decides from. */
export interface AdmissionState {
  readonly numWaiting: number;
  readonly numRunning: number;
  readonly numFreeSlots: number;
  /** How long the prompt at the head of the queue has waited. */
  readonly oldestWaitMs: number;
  /** The longest that a prompt may be held back to be prefilled with others. */
  readonly batchTimeoutMs: number;
}

/** How many waiting prompts may join at this token boundary. */
export type AdmissionPolicy = (state: AdmissionState) => number;

/** A prefill delays everyone who is decoding: newcomers are worth one when they are a fair share of those delayed. */
const worthwhileShare = 1 / 4;

/** Start now if the engine is idle; otherwise gather newcomers until they are worth a prefill or the oldest has waited long enough. */
export const gatherWhileRunning: AdmissionPolicy = (state) => {
  const { numWaiting, numRunning, numFreeSlots, oldestWaitMs, batchTimeoutMs } = state;
  const areWorthAPrefill = numWaiting >= Math.min(numFreeSlots, numRunning * worthwhileShare);
  return areWorthAPrefill || oldestWaitMs >= batchTimeoutMs ? Math.min(numWaiting, numFreeSlots) : 0;
};
