export { type Model, openModel } from './model.ts';
export { type OptConfig, readOptConfig } from './opt-config.ts';
export { numParameters, type ParameterShape, parameterShapes } from './parameters.ts';
