export { openDevice } from './device.ts';
export { type WeftRoutesOptions, weftRoutes } from './fastify-plugin.ts';
export type { GenerateOptions } from './generate-options.ts';
export { type LoadOptions, type LoadProgress, loadModel } from './load-model.ts';
export type { LoadedModel } from './loaded-model.ts';
export { openEngine } from './open-engine.ts';
