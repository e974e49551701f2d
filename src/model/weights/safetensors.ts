import { type FileHandle, open } from 'node:fs/promises';
import { ModelError, messageOf, show } from '../../core/index.ts';
import { bytesPerElement, type FloatType, toFloat32 } from './float-types.ts';
import { isSizes, numElements, readExactly, type TensorInfo, type Weights } from './weights.ts';

const floatTypes: Readonly<Record<string, FloatType>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

interface Entry extends TensorInfo {
  /** First byte in the file, and one past the last. */
  readonly start: number;
  readonly end: number;
}

/**
 * A `.safetensors` file: eight bytes with the length of a JSON header, the header, the numbers.
 * Format: https://github.com/huggingface/safetensors#format
 */
export class SafetensorsWeights implements Weights {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #entries: ReadonlyMap<string, Entry>;

  private constructor(file: FileHandle, path: string, entries: ReadonlyMap<string, Entry>) {
    this.#file = file;
    this.#path = path;
    this.#entries = entries;
  }

  /** @throws {ModelError} the file is missing, truncated or not safetensors */
  static async open(path: string): Promise<SafetensorsWeights> {
    const file = await open(path).catch((error: unknown) => {
      throw new ModelError(`${path} cannot be read: ${messageOf(error)}`);
    });
    try {
      return new SafetensorsWeights(file, path, await readHeader(file));
    } catch (error) {
      await file.close();
      throw new ModelError(`${path} is broken: ${messageOf(error)}; get the file again`);
    }
  }

  info(name: string): TensorInfo | undefined {
    return this.#entries.get(name);
  }

  async read(name: string): Promise<Float32Array> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new ModelError(`${this.#path} has no tensor ${name} of F32, F16 or BF16`);
    return toFloat32(await readExactly(this.#file, entry.start, entry.end - entry.start), entry.dtype);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

const gitLfs = 'version https://git-lfs';

async function readHeader(file: FileHandle): Promise<Map<string, Entry>> {
  const { size } = await file.stat();
  if (size < 8) throw new Error(`it has ${size} bytes, too few for a header`);
  if ((await readExactly(file, 0, Math.min(size, gitLfs.length))).toString() === gitLfs) {
    throw new Error('it is a Git LFS pointer, not the file that it stands for');
  }
  const headerBytes = Number((await readExactly(file, 0, 8)).readBigUInt64LE());
  const dataStart = 8 + headerBytes;
  if (dataStart > size) throw new Error(`its header should take ${headerBytes} bytes and the file has ${size}`);
  const header: unknown = JSON.parse((await readExactly(file, 8, headerBytes)).toString('utf8'));
  if (typeof header !== 'object' || header === null) throw new Error('its header is not an object');
  const entries = new Map<string, Entry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    if (typeof value !== 'object' || value === null) throw new Error(`tensor ${name} has a broken header`);
    const entry = entryOf(name, value as Record<string, unknown>, { start: dataStart, end: size });
    if (entry !== undefined) entries.set(name, entry);
  }
  return entries;
}

/** @returns undefined for a tensor of another type: what needs it will miss it */
function entryOf(
  name: string,
  value: Record<string, unknown>,
  data: { readonly start: number; readonly end: number },
): Entry | undefined {
  const { dtype, shape, data_offsets: offsets } = value;
  const floatType = floatTypes[String(dtype)];
  if (floatType === undefined) return undefined;
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2)
    throw new Error(`tensor ${name} has a broken header`);
  const [start = 0, end = 0] = offsets;
  if (end - start !== numElements(shape) * bytesPerElement[floatType]) {
    throw new Error(`tensor ${name} of shape ${show(shape)} does not take ${end - start} bytes`);
  }
  if (data.start + end > data.end) throw new Error(`it ends at byte ${data.end}, inside tensor ${name}`);
  return { dtype: floatType, shape, start: data.start + start, end: data.start + end };
}
