/** The time, passed in so that tests control it. */
export interface Clock {
  /** Milliseconds since a fixed moment; never decreases. */
  now(): number;
}

export const systemClock: Clock = { now: () => performance.now() };
