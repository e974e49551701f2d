import type { LogitsAdjuster } from './adjuster.ts';

/** Adds a bias to the logits of some tokens. */
export const logitBias: LogitsAdjuster = {
  appliesTo: ({ params }) => params.logitBias.length > 0,
  adjust(logits, { params }) {
    for (const [id, bias] of params.logitBias) logits[id] = (logits[id] ?? 0) + bias;
  },
};
