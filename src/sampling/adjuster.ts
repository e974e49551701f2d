import type { RowSampling } from '../core/index.ts';

/** A stage of sampling that changes logits: a penalty, a bias, a mask. */
export interface LogitsAdjuster {
  /** Whether the row asks for it. */
  appliesTo(sampling: RowSampling): boolean;
  /** @param logits of one row, [vocabulary], changed in place */
  adjust(logits: Float32Array, sampling: RowSampling): void;
}
