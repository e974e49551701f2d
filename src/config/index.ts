export { type HubEnvironment, loadHubEnvironment } from './hub-environment.ts';
export { type CommandLine, loadCommand, loadSettings, type NameOf, serveSettings } from './load.ts';
export { nearest } from './nearest.ts';
export { loadOptions } from './options.ts';
export { packageVersion } from './package-version.ts';
export { renderEntries, renderFlags, renderHubVariables, renderMarkdown, wrap } from './render.ts';
export {
  capacityKeys,
  capacityServerKeys,
  defaultPromptBudget,
  flagOf,
  modelsKeys,
  type SettingKey,
  type Settings,
  serveKeys,
  variableOf,
} from './settings.ts';
export { cacheDirOf } from './user-folders.ts';
