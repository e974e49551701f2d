export { chatRoute } from './chat-route.ts';
export { completionsRoute } from './completions-route.ts';
export { openaiRoutes } from './openai-routes.ts';
