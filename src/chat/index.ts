export { ChatPrompts } from './chat-prompts.ts';
export { readTemplates } from './read-templates.ts';
