export type { AttentionGroup } from './graph/opt-graph.ts';
export {
  expectMemoryFor,
  findGraph,
  inspectModel,
  type Model,
  openModel,
  removeGraph,
  weightsBytes,
} from './model.ts';
export { type OptConfig, readOptConfig } from './opt-config.ts';
export { numParameters, type ParameterShape, parameterShapes } from './parameters.ts';
export { numElements, selectWeights } from './weights/index.ts';
