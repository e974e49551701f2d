export { findWeights, selectWeights, type WeightsFiles } from './open-weights.ts';
export { numElements, type Weights } from './weights.ts';
