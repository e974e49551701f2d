/**
 * Everything in a graph that is not the network itself: how it takes its tokens, keeps keys and values, and returns logits.
 * The network computes N tokens per run, whichever rows they belong to.
 */
export interface GraphIo {
  /** An input with one element per token of the run. */
  readonly tokens: string;
  /** The name to give the head's result, [rows, vocabulary]. */
  readonly head: string;
  /** Declares the inputs. @returns the tokens' ids and their positions, counted from 0, both [N] */
  begin(): { readonly ids: string; readonly positions: string };
  /**
   * Lets each token of a layer attend to itself and the tokens before it.
   * @param qkv queries, keys and values side by side, [N, (heads + 2 · key/value heads) · head size]
   * @returns [N, heads · head size]
   */
  attend(layer: number, qkv: string): string;
  /** The rows that get logits. @param hidden [N, hidden] */
  sampled(hidden: string): SampledRows;
  /** Declares the outputs. */
  end(): void;
}

export interface SampledRows {
  /** [rows, hidden] */
  readonly value: string;
  /** An input of the graph with one element per row. */
  readonly rowsOf: string;
}

/** The two parts of the cache, as they are named in a graph. */
export const kvParts = ['key', 'value'] as const;
