export { type Model, numParameters, openModel } from './model.ts';
export type { OptConfig } from './opt-config.ts';
