import type { SseMessage } from '../../dialect.ts';

/** Ends every stream. */
export const done: SseMessage = '[DONE]';
