import { ModelError, show } from '../../core/index.ts';
import type { Weights } from '../weights/index.ts';

/** One weight of a network: its name in a Hugging Face checkpoint, and its shape there. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /**
   * An `embedding` is a table of rows to look up, a `linear` parameter is a matrix `[to, from]` to multiply with, a `bias` is added, and
   * a `scale` is the factor of a norm, around 1.
   */
  readonly kind: 'embedding' | 'linear' | 'bias' | 'scale';
}

/** The names that an architecture has in checkpoints and in messages. */
export interface CheckpointNames {
  /** The architecture's name for people. */
  readonly label: string;
  /** Prefixes of parameter names. Parameters are listed with the first one; a checkpoint may use any of them. */
  readonly prefixes: readonly [string, ...string[]];
}

/** The weights of a network, read by the names in its parameter list and checked for the shapes there. */
export class Parameters {
  readonly #weights: Weights;
  readonly #listed: ReadonlyMap<string, Parameter>;
  readonly #listedPrefix: string;
  readonly #prefix: string;

  /** @throws {ModelError} the weights are those of another architecture */
  constructor(weights: Weights, { label, prefixes }: CheckpointNames, listed: readonly Parameter[]) {
    this.#weights = weights;
    this.#listed = new Map(listed.map((parameter) => [parameter.name, parameter]));
    this.#listedPrefix = prefixes[0];
    // One parameter that every checkpoint has tells which prefix this one uses.
    const first = below(this.#listedPrefix, listed[0]?.name ?? '');
    const prefix = prefixes.find((candidate) => weights.info(candidate + first) !== undefined);
    if (prefix === undefined) {
      const names = prefixes.map((candidate) => candidate + first).join(' or ');
      throw new ModelError(`the weights are not those of ${label}: there is no ${names}`);
    }
    this.#prefix = prefix;
  }

  /** Whether the network has a parameter. @param name in full, or without the prefix */
  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** The shape that the network asks for. */
  shapeOf(name: string): readonly number[] {
    return this.#expect(name).shape;
  }

  /** The size of a vector. */
  lengthOf(name: string): number {
    return this.shapeOf(name)[0] ?? 0;
  }

  /** The rows and columns of a matrix. */
  matrixOf(name: string): readonly [rows: number, columns: number] {
    const [rows = 0, columns = 0] = this.shapeOf(name);
    return [rows, columns];
  }

  /** @throws {ModelError} missing, of another shape, or broken */
  async read(name: string): Promise<Float32Array> {
    const { name: listed, shape } = this.#expect(name);
    const stored = listed.startsWith(this.#listedPrefix) ? this.#prefix + below(this.#listedPrefix, listed) : listed;
    const info = this.#weights.info(stored);
    if (info === undefined) {
      throw new ModelError(`config.json requires ${stored}, but the weights lack it in float32, float16 or bfloat16`);
    }
    if (info.shape.length !== shape.length || info.shape.some((size, axis) => size !== shape[axis])) {
      throw new ModelError(`${stored} has the shape ${show(info.shape)}, but config.json requires ${show(shape)}`);
    }
    return this.#weights.read(stored);
  }

  #find(name: string): Parameter | undefined {
    return this.#listed.get(this.#listedPrefix + name) ?? this.#listed.get(name);
  }

  #expect(name: string): Parameter {
    const parameter = this.#find(name);
    if (parameter === undefined) throw new Error(`the network lists no parameter ${name}`);
    return parameter;
  }
}

function below(prefix: string, name: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
