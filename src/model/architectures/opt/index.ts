import type { Architecture } from '../architecture.ts';
import { parseOptConfig } from './config.ts';
import { writeOpt } from './graph.ts';
import { optParameters, prefixes } from './parameters.ts';
import { publishedConfigs } from './published-configs.ts';

/** Meta's OPT. Network: `modeling_opt.py` of Hugging Face transformers. */
export const opt: Architecture = {
  modelType: 'opt',
  label: 'OPT',
  prefixes,
  publishedConfigs,
  read(json) {
    const config = parseOptConfig(json);
    const { numLayers, numHeads, headDim, hiddenSize, vocabSize, maxPositions, eosTokenIds } = config;
    return {
      sizes: {
        numLayers,
        numHeads,
        numKvHeads: numHeads,
        headSize: headDim,
        hiddenSize,
        vocabSize,
        maxPositions,
        eosTokenIds,
      },
      identity: config,
      parameters: () => optParameters(config),
      write: (builder) => writeOpt(builder, config),
    };
  },
};
