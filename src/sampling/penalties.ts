import type { LogitsAdjuster } from './adjuster.ts';
import { TokenCounts } from './token-counts.ts';

/** Extreme penalties give logits that are finite in float32, also when they are divided by a temperature. */
const largestLogit = 1e30;
const smallestPenalty = 1e-30;

/** Divides positive logits of tokens of the prompt and the output by the penalty, and multiplies negative ones; once per distinct token. */
export function repetitionPenalty(vocabSize: number): LogitsAdjuster {
  const counts = new TokenCounts(vocabSize);
  return {
    appliesTo: ({ params }) => params.repetitionPenalty !== 1,
    adjust(logits, { params, context }) {
      if (context === undefined) return;
      const penalty = Math.max(Math.fround(params.repetitionPenalty), smallestPenalty);
      for (const id of counts.count(context.promptTokenIds, context.outputTokenIds)) {
        const logit = logits[id] ?? 0;
        if (logit === Number.NEGATIVE_INFINITY) continue;
        const penalized = logit < 0 ? logit * penalty : logit / penalty;
        logits[id] = Math.max(-largestLogit, Math.min(penalized, largestLogit));
      }
    },
  };
}

/** Subtracts from the logits of tokens of the output: one penalty for each token that occurs, and one for each of its occurrences. */
export function outputPenalties(vocabSize: number): LogitsAdjuster {
  const counts = new TokenCounts(vocabSize);
  return {
    appliesTo: ({ params }) => params.presencePenalty !== 0 || params.frequencyPenalty !== 0,
    adjust(logits, { params: { presencePenalty, frequencyPenalty }, context }) {
      if (context === undefined) return;
      for (const id of counts.count(context.outputTokenIds)) {
        logits[id] = (logits[id] ?? 0) - (presencePenalty + frequencyPenalty * counts.of(id));
      }
    },
  };
}
