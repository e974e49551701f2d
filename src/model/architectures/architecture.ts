import type { JsonObject } from '../../files/index.ts';
import type { NetworkSizes } from '../model-config.ts';
import type { NetworkBuilder } from './network-builder.ts';
import type { CheckpointNames, Parameter } from './parameters.ts';

/** A family of networks that Weft can run: one entry of the registry. */
export interface Architecture extends CheckpointNames {
  /** `model_type` in `config.json`. The folders of its graphs in the cache begin with it. */
  readonly modelType: string;
  /** The `config.json` of published models by name, for random models of the same shape. */
  readonly publishedConfigs: Readonly<Record<string, JsonObject>>;
  /**
   * Reads a `config.json` in which `eos_token_id` is already that of `generation_config.json`, if there is one.
   * @throws {ModelError} values that make no network
   */
  read(config: JsonObject): Network;
}

/** One network of an architecture. */
export interface Network {
  readonly sizes: NetworkSizes;
  /** Everything in `config.json` that the graph depends on. Its JSON is part of the graph's name in the cache. */
  readonly identity: object;
  /** All weights in the order of their use; tied embeddings once. The only place that states their names and shapes. */
  parameters(): readonly Parameter[];
  /**
   * Writes the network between the inputs and outputs of the builder's `io`.
   * @throws {ModelError} a weight is missing or has another shape
   */
  write(builder: NetworkBuilder): Promise<void>;
}
