export { loadSettings } from './load.ts';
export { renderFlags, renderMarkdown } from './render.ts';
export { flagOf, type Settings } from './settings.ts';
