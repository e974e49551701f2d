export { findWeights, selectWeights, type WeightsFiles } from './open-weights.ts';
export type { Weights } from './weights.ts';
