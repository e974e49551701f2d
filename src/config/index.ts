export { type HubEnvironment, loadHubEnvironment } from './hub-environment.ts';
export { loadCommand, loadSettings } from './load.ts';
export { renderFlags, renderHubVariables, renderMarkdown } from './render.ts';
export { capacityKeys, flagOf, type SettingKey, type Settings } from './settings.ts';
