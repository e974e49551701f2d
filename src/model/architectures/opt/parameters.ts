import type { Parameter } from '../parameters.ts';
import type { OptConfig } from './config.ts';

/** `OPTForCausalLM` writes the first, `OPTModel` and Meta's own checkpoints the second. */
export const prefixes = ['model.decoder.', 'decoder.'] as const;

/** Learned positions start at row 2 of their table; the first two rows are never used. */
export const positionOffset = 2;

/** All weights of the network. */
export function optParameters(config: OptConfig): Parameter[] {
  const { vocabSize, wordEmbedDim, hiddenSize, ffnDim, maxPositions, numLayers } = config;
  const [prefix] = prefixes;
  const table = (name: string, rows: number, columns: number): Parameter => {
    return { name: `${prefix}${name}.weight`, shape: [rows, columns], kind: 'embedding' };
  };
  const projection = (name: string, to: number, from: number): Parameter => {
    return { name: `${prefix}${name}.weight`, shape: [to, from], kind: 'linear' };
  };
  const linear = (name: string, to: number, from: number): Parameter[] => [
    projection(name, to, from),
    ...(config.hasBias ? [{ name: `${prefix}${name}.bias`, shape: [to], kind: 'bias' } as const] : []),
  ];
  const norm = (name: string): Parameter[] => {
    if (!config.hasLayerNormWeights) return [];
    return [
      { name: `${prefix}${name}.weight`, shape: [hiddenSize], kind: 'scale' },
      { name: `${prefix}${name}.bias`, shape: [hiddenSize], kind: 'bias' },
    ];
  };
  const layer = (at: string): Parameter[] => [
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
    table('embed_tokens', vocabSize, wordEmbedDim),
    table('embed_positions', maxPositions + positionOffset, hiddenSize),
    ...(isProjected ? [projection('project_in', hiddenSize, wordEmbedDim)] : []),
    ...Array.from({ length: numLayers }, (_, i) => layer(`layers.${i}`)).flat(),
    ...(config.hasFinalLayerNorm ? norm('final_layer_norm') : []),
    ...(isProjected ? [projection('project_out', wordEmbedDim, hiddenSize)] : []),
    ...(config.tieWordEmbeddings
      ? []
      : [{ name: 'lm_head.weight', shape: [vocabSize, wordEmbedDim], kind: 'linear' } as const]),
  ];
}
