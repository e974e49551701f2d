import type { Choice } from './dialect.ts';

/** The `number` answers with the highest mean log probability per token, best first. If all are wanted, they keep their order. */
export function likeliest(choices: readonly Choice[], number: number): readonly Choice[] {
  if (number >= choices.length) return choices;
  return choices
    .map((choice) => ({ choice, mean: meanLogprob(choice) }))
    .sort((a, b) => b.mean - a.mean)
    .slice(0, number)
    .map(({ choice }) => choice);
}

function meanLogprob({ tokens }: Choice): number {
  const sum = tokens.reduce((total, { token }) => total + (token.logprobs?.logprob ?? 0), 0);
  return sum / Math.max(1, tokens.length);
}
