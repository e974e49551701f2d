export { type HubEnvironment, loadHubEnvironment } from './hub-environment.ts';
export { loadCommand, loadSettings } from './load.ts';
export { renderFlags, renderHubVariables, renderMarkdown } from './render.ts';
export { flagOf, type Settings } from './settings.ts';
