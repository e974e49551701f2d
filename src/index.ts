/** Weft as a library: see docs/library.md. */
export {
  type ErrorCode,
  type ErrorEvent,
  type FinishedEvent,
  type GenerateRequest,
  type GenerationEvent,
  type GeneratorStats,
  ModelError,
  type SampledToken,
  type SamplingParams,
  ServingError,
  type TextGenerator,
  type Timings,
  type TokenEvent,
  type Usage,
  UserError,
} from './core/index.ts';
export {
  type GenerateOptions,
  type LoadedModel,
  type LoadOptions,
  type LoadProgress,
  loadModel,
  type Prompt,
  type WeftRoutesOptions,
  weftRoutes,
} from './library/index.ts';
