import type { JsonObject } from '../../files/index.ts';
import type { Architecture } from './architecture.ts';
import { opt } from './opt/index.ts';

/** The known architectures by `model_type`. */
const architectures = new Map<string, Architecture>([[opt.modelType, opt]]);

/** Makes an architecture known to this process. @throws {Error} its `model_type` is taken */
export function registerArchitecture(architecture: Architecture): void {
  const { modelType } = architecture;
  if (architectures.has(modelType)) throw new Error(`the architecture ${modelType} is already registered`);
  architectures.set(modelType, architecture);
}

/** The architecture that a `config.json` names as its `model_type`. */
export function architectureOf(modelType: unknown): Architecture | undefined {
  return typeof modelType === 'string' ? architectures.get(modelType) : undefined;
}

/** Whether Weft has the architecture that a `config.json` names. */
export function isSupported(config: JsonObject): boolean {
  return architectureOf(config.model_type) !== undefined;
}

/** Every known `model_type`. */
export function modelTypes(): string[] {
  return [...architectures.keys()];
}

/** The names of the published models whose shapes are known. */
export function publishedShapes(): string[] {
  return [...architectures.values()].flatMap(({ publishedConfigs }) => Object.keys(publishedConfigs));
}

/** The `config.json` of a published model. */
export function publishedConfig(shape: string): JsonObject | undefined {
  const { publishedConfigs } =
    [...architectures.values()].find((each) => Object.hasOwn(each.publishedConfigs, shape)) ?? {};
  return publishedConfigs?.[shape];
}
