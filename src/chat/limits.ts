/** What rendering a chat template may take. */
export const chatLimits = {
  /** Templates that a folder may have besides its default. */
  maxNamedTemplates: 64,
  /** UTF-16 code units of a template, of a prompt, and of every string that a template computes. */
  maxCharacters: 2 ** 20,
  /** The same for the messages and variables, written as JSON. */
  maxInputCharacters: 2 ** 21,
  /** Elements of every list that a template computes. */
  maxElements: 2 ** 20,
  /** Elements of a `range`. Jinja's sandbox has the same limit. */
  maxRange: 100_000,
  /** Of an error's reason, which a template may write. */
  maxReasonCharacters: 500,
  deadlineMs: 1000,
  /** How long a chat may wait for those before it. */
  maxWaitMs: 3000,
  /** Of all the chats that wait, as `maxInputCharacters` counts them. */
  maxWaitingCharacters: 2 ** 25,
  /** The heap of the thread. Each single string or list must be small compared to it: see `bounded-strings.ts`. */
  maxHeapMegabytes: 128,
} as const;
