import type { OptConfig } from './opt-config.ts';
import { numElements } from './weights/index.ts';

/** One weight of the network: its name in a Hugging Face checkpoint, and its shape there. */
export interface ParameterShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** All weights of the network, in the order in which they are used; tied embeddings once. Source: `modeling_opt.py` of Hugging Face transformers. */
export function parameterShapes(config: OptConfig): ParameterShape[] {
  const { vocabSize, wordEmbedDim, hiddenSize, ffnDim, maxPositions, numLayers, hasBias, hasLayerNormWeights } = config;
  const decoder = 'model.decoder.';
  const linear = (name: string, to: number, from: number): ParameterShape[] => [
    { name: `${decoder}${name}.weight`, shape: [to, from] },
    ...(hasBias ? [{ name: `${decoder}${name}.bias`, shape: [to] }] : []),
  ];
  const norm = (name: string): ParameterShape[] =>
    hasLayerNormWeights
      ? ['weight', 'bias'].map((part) => ({ name: `${decoder}${name}.${part}`, shape: [hiddenSize] }))
      : [];
  const layer = (at: string): ParameterShape[] => [
    ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((name) =>
      linear(`${at}.self_attn.${name}`, hiddenSize, hiddenSize),
    ),
    ...norm(`${at}.self_attn_layer_norm`),
    ...linear(`${at}.fc1`, ffnDim, hiddenSize),
    ...linear(`${at}.fc2`, hiddenSize, ffnDim),
    ...norm(`${at}.final_layer_norm`),
  ];
  const isProjected = wordEmbedDim !== hiddenSize;
  return [
    { name: `${decoder}embed_tokens.weight`, shape: [vocabSize, wordEmbedDim] },
    { name: `${decoder}embed_positions.weight`, shape: [maxPositions + positionOffset, hiddenSize] },
    ...(isProjected ? [{ name: `${decoder}project_in.weight`, shape: [hiddenSize, wordEmbedDim] }] : []),
    ...Array.from({ length: numLayers }, (_, i) => layer(`layers.${i}`)).flat(),
    ...(config.hasFinalLayerNorm ? norm('final_layer_norm') : []),
    ...(isProjected ? [{ name: `${decoder}project_out.weight`, shape: [wordEmbedDim, hiddenSize] }] : []),
    ...(config.tieWordEmbeddings ? [] : [{ name: 'lm_head.weight', shape: [vocabSize, wordEmbedDim] }]),
  ];
}

/** OPT's learned positions start at row 2 of their table: the first two rows are never used. */
export const positionOffset = 2;

/** An upper bound for one weights file: all weights in float32, twice (for duplicates), and 256 MiB for headers. */
export function maxWeightsFileBytes(config: OptConfig): number {
  return 2 * 4 * numParameters(config) + 2 ** 28;
}

/** The number of weights of the network; tied embeddings count once. Does not list them: a broken configuration may ask for billions of layers. */
export function numParameters(config: OptConfig): number {
  const count = (numLayers: number) =>
    parameterShapes({ ...config, numLayers }).reduce((sum, { shape }) => sum + numElements(shape), 0);
  const outside = count(0);
  return outside + config.numLayers * (count(1) - outside);
}
