/** The time, passed in so that tests can hold it. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
}

export const systemClock: Clock = { now: () => performance.now() };
