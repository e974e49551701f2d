export { LlmEngine } from './llm-engine.ts';
