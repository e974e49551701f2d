export { chatRoute } from './chat-route.ts';
export { completionsRoute } from './completions-route.ts';
export { openaiErrors } from './errors.ts';
export { openaiRoutes } from './openai-routes.ts';
