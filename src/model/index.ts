export { type Int8Range, type Precision, precisions } from './graph/linear-layers.ts';
export type { AttentionGroup } from './graph/opt-graph.ts';
export { writeProduct } from './graph/product-graph.ts';
export {
  expectMemoryFor,
  findGraphs,
  inspectModel,
  type Model,
  openModel,
  removeGraphs,
  weightsBytes,
} from './model.ts';
export { type OptConfig, readOptConfig } from './opt-config.ts';
export { numParameters, type ParameterShape, parameterShapes } from './parameters.ts';
export { numElements, selectWeights } from './weights/index.ts';
