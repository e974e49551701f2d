import Type, { type Static } from 'typebox';
import type { FinishedEvent } from '../../../core/index.ts';

export const usage = Type.Object({
  prompt_tokens: Type.Integer({ description: 'of every prompt once, whatever n is' }),
  completion_tokens: Type.Integer({ description: 'of all answers' }),
  total_tokens: Type.Integer(),
});

export type Usage = Static<typeof usage>;

export function usageOf(promptTokens: number, completionTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

/** Adds up the tokens of a request. */
export class UsageTotals {
  readonly #answersPerPrompt: number;
  #promptTokens = 0;
  #completionTokens = 0;

  constructor(answersPerPrompt: number) {
    this.#answersPerPrompt = answersPerPrompt;
  }

  /** @param numTokens the tokens of the answer that the client gets */
  add({ choice, usage: { promptTokens } }: FinishedEvent, numTokens: number): void {
    if (choice % this.#answersPerPrompt === 0) this.#promptTokens += promptTokens;
    this.#completionTokens += numTokens;
  }

  total(): Usage {
    return usageOf(this.#promptTokens, this.#completionTokens);
  }
}
