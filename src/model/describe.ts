import path from 'node:path';
import { configFiles, ModelError, show } from '../core/index.ts';
import { readJsonFile } from '../files/index.ts';
import type { Architecture, Network } from './architectures/architecture.ts';
import type { Parameter } from './architectures/parameters.ts';
import { architectureOf, modelTypes } from './architectures/registry.ts';
import type { ModelConfig, NetworkSizes } from './model-config.ts';
import { numElements } from './weights/index.ts';

/** What the `config.json` of a model says. */
export interface ModelDescription {
  readonly architecture: Architecture;
  readonly network: Network;
  readonly parameters: readonly Parameter[];
  readonly config: ModelConfig;
}

/**
 * Reads `config.json`, and `generation_config.json` if there is one.
 * @throws {ModelError} not a model folder, an unknown architecture, or values that make no network
 */
export async function describeModel(folder: string): Promise<ModelDescription> {
  const json = await readJsonFile(folder, configFiles.config);
  if (json === undefined) {
    throw new ModelError(`${folder} has no config.json: give the folder of a Hugging Face model`);
  }
  const architecture = architectureOf(json.model_type);
  if (architecture === undefined) {
    throw new ModelError(
      `${path.join(folder, configFiles.config)}: model_type ${show(json.model_type ?? null)} is not supported; supported: ${modelTypes().join(', ')}`,
    );
  }
  const generation = (await readJsonFile(folder, configFiles.generation)) ?? {};
  const network = architecture.read({ ...json, eos_token_id: generation.eos_token_id ?? json.eos_token_id });
  expectRunnable(network.sizes);
  const parameters = network.parameters();
  const numParameters = parameters.reduce((sum, { shape }) => sum + numElements(shape), 0);
  const config = { architecture: architecture.label, ...network.sizes, numParameters };
  return { architecture, network, parameters, config };
}

/** What the rest of the program knows of the network in a folder. @throws {ModelError} as {@link describeModel} */
export async function readModelConfig(folder: string): Promise<ModelConfig> {
  return (await describeModel(folder)).config;
}

/** The weights that the network in a folder needs, in the order of their use. @throws {ModelError} as {@link describeModel} */
export async function readParameters(folder: string): Promise<readonly Parameter[]> {
  return (await describeModel(folder)).parameters;
}

/** Far more than any model has: a broken `config.json` must not make Weft list billions of parameters. */
const maxLayers = 10_000;

/** GroupQueryAttention's requirement. */
const headSizeUnit = 8;

function expectRunnable({ numLayers, numHeads, numKvHeads, headSize, hiddenSize }: NetworkSizes): void {
  if (numLayers > maxLayers) {
    throw new ModelError(`config.json asks for ${numLayers} layers; at most ${maxLayers} are supported`);
  }
  if (!Number.isInteger(headSize / headSizeUnit)) {
    throw new ModelError(
      `config.json: ${numHeads} heads at a hidden size of ${hiddenSize} have a head size of ${headSize}; it must be a multiple of ${headSizeUnit}`,
    );
  }
  if (numHeads % numKvHeads !== 0) {
    throw new ModelError(`config.json: ${numHeads} heads cannot share ${numKvHeads} key and value heads evenly`);
  }
}
