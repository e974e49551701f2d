export { exportModel } from './export.ts';
export { blockCopyGraph, candidatesGraph, copyNames, takeRowsGraph, zerosGraph } from './graph/device-graphs.ts';
export type { ComputeType } from './graph/graph-writer.ts';
export type { AttentionGroup } from './graph/in-place-io.ts';
export { computeTypeOf, type Int8Range, type Precision } from './graph/linear-layers.ts';
export { type ProductShape, productNames, writeProducts } from './graph/products-graph.ts';
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
