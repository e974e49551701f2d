import type { FinishedEvent } from '../../../core/index.ts';
import { type Usage, usageOf } from '../../usage.ts';

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
