/**
 * How a graph takes its tokens, keeps keys and values, and gives its logits: all of it that is not the network itself,
 * which computes N tokens a run, whatever rows they belong to.
 */
export interface GraphIo {
  /** An input that has as many elements as the run has tokens. */
  readonly tokens: string;
  /** How the head's result, [rows, vocabulary], is to be named. */
  readonly head: string;
  /** Declares the inputs. @returns the tokens' ids and their positions from 0 on, both [N] */
  begin(): { readonly ids: string; readonly positions: string };
  /**
   * Lets the tokens of a layer attend to those before them.
   * @param qkv queries, keys and values side by side, [N, 3 · hidden]
   * @returns [N, hidden]
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
  /** An input of the graph that has as many elements as there are rows. */
  readonly rowsOf: string;
}

/** The two halves of the cache, as they are named in a graph. */
export const kvParts = ['key', 'value'] as const;
