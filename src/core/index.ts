export { type Clock, systemClock } from './clock.ts';
export {
  ContextLengthError,
  EngineError,
  type ErrorCode,
  errorTable,
  InvalidRequestError,
  ModelError,
  messageOf,
  QueueFullError,
  ServingError,
  show,
  UnavailableError,
  UserError,
} from './errors.ts';
export type { FinishReason } from './finish-reason.ts';
export type {
  ErrorEvent,
  FinishedEvent,
  GenerationEvent,
  GeneratorStats,
  TextGenerator,
  Timings,
  TokenEvent,
  Usage,
} from './generator.ts';
export { defaultMaxNewTokens, type GenerateRequest, type SamplingParams } from './request.ts';
export { Sequence, type SequenceStatus } from './sequence.ts';
export type { ModelRunner, SampledToken, SlotMove, Step, StepLimits, StepRow } from './step.ts';
