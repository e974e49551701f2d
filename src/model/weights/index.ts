export { findWeights, type WeightsFiles } from './open-weights.ts';
export type { Weights } from './weights.ts';
