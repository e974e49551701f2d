import type { LogitsAdjuster } from './adjuster.ts';

/** A token with this logit has no probability. */
const masked = Number.NEGATIVE_INFINITY;

/** Masks the tokens that cannot be drawn now. */
export const bannedTokens: LogitsAdjuster = {
  appliesTo: ({ bannedTokenIds = [] }) => bannedTokenIds.length > 0,
  adjust(logits, { bannedTokenIds = [] }) {
    for (const id of bannedTokenIds) logits[id] = masked;
  },
};

/** Masks all tokens but the allowed ones. */
export const allowedTokens: LogitsAdjuster = {
  appliesTo: ({ params }) => params.allowedTokenIds !== undefined,
  adjust(logits, { params: { allowedTokenIds = [] } }) {
    const kept = new Float32Array(allowedTokenIds.length);
    for (let i = 0; i < kept.length; i++) kept[i] = logits[allowedTokenIds[i] ?? 0] ?? masked;
    logits.fill(masked);
    for (let i = 0; i < kept.length; i++) logits[allowedTokenIds[i] ?? 0] = kept[i] ?? masked;
  },
};
