export { LlmEngine, type LlmEngineOptions } from './llm-engine.ts';
