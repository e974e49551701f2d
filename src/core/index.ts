export { type Clock, systemClock } from './clock.ts';
export { defined } from './defined.ts';
export {
  BusyError,
  ClientTooSlowError,
  ContextLengthError,
  EngineError,
  type ErrorCode,
  errorTable,
  HalfClosedError,
  InternalError,
  InvalidParameterError,
  InvalidRequestError,
  ModelError,
  messageOf,
  NoTokenError,
  ParameterError,
  QueueFullError,
  type Remedy,
  type RequestParameter,
  ServingError,
  show,
  TooManyConnectionsError,
  TooManyPipelinedError,
  UnavailableError,
  UserError,
} from './errors.ts';
export { completionReasons, type FinishReason } from './finish-reason.ts';
export type {
  ErrorEvent,
  FinishedEvent,
  GenerationEvent,
  GeneratorStats,
  PromptEvent,
  TextGenerator,
  Timings,
  TokenEvent,
  Usage,
} from './generator.ts';
export { requestLimits } from './limits.ts';
export { configFiles, namedTemplates, tokenizerFiles } from './model-folder.ts';
export { type Precision, precisions } from './precision.ts';
export { randomSeed } from './random-seed.ts';
export { millions, readableSize } from './readable.ts';
export {
  defaultMaxNewTokens,
  type GenerateRequest,
  greedy,
  maxLogprobs,
  type Prompt,
  requestDefaults,
  type SamplingParams,
} from './request.ts';
export type {
  ChatMessage,
  ChatPromptOptions,
  ChatTemplate,
  EncodeOptions,
  ServedModel,
  TextCodec,
} from './served-model.ts';
export type {
  ModelRunner,
  RowOutput,
  RowResult,
  RowSampling,
  RowScoring,
  SampledToken,
  SlotMove,
  Step,
  StepLimits,
  StepRow,
  TokenLogprobs,
} from './step.ts';
export { checkWellFormed } from './well-formed.ts';
