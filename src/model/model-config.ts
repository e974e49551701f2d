/** The sizes of a network that the engine and the scheduler depend on. */
export interface NetworkSizes {
  readonly numLayers: number;
  readonly numHeads: number;
  /** Heads of the KV cache; fewer than `numHeads` where several query heads share one. */
  readonly numKvHeads: number;
  readonly headSize: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  /** The longest context, in tokens. */
  readonly maxPositions: number;
  readonly eosTokenIds: readonly number[];
}

/** What the rest of the program knows of a network. */
export interface ModelConfig extends NetworkSizes {
  /** The architecture's name for people. */
  readonly architecture: string;
  /** The number of weights; tied embeddings count once. */
  readonly numParameters: number;
}
