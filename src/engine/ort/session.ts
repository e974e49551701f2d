import { type NativeBuffer, type Out, ortApi, type Pointer } from './native.ts';

/** A call to ONNX Runtime failed; the message is its own. */
export class OrtError extends Error {
  override readonly name = 'OrtError';
}

/** `ONNXTensorElementDataType`. */
const elementTypes = { float32: 1, int32: 6, int64: 7 } as const;
const elementBytes = { float32: 4, int32: 4, int64: 8 } as const;
export type ElementType = keyof typeof elementTypes;

/** A tensor over native memory: from `byteOffset` on, row-major. */
export interface TensorView {
  readonly buffer: NativeBuffer;
  readonly byteOffset?: number;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

export interface SessionOptions {
  /** Threads that a run uses, the calling one included. */
  readonly threads: number;
  /** Whether waiting threads spin for a while before they sleep: quicker, at the cost of whoever else needs the cores. */
  readonly spinning: boolean;
}

/** Only what ends the process is logged: everything else is thrown. */
const logLevelFatal = 4;
const optimizeAll = 99;
const allocatorTypeDevice = 0;
const memoryTypeDefault = 0;

/** Lives as long as the process: ONNX Runtime wants one environment, made before and released after everything else. */
const shared: { env?: Pointer; cpu?: Pointer } = {};

function environment(): Pointer {
  shared.env ??= create((out) => ortApi().createEnv(logLevelFatal, 'weft', out));
  return shared.env;
}

function cpuMemory(): Pointer {
  shared.cpu ??= create((out) => ortApi().createCpuMemoryInfo(allocatorTypeDevice, memoryTypeDefault, out));
  return shared.cpu;
}

/** A loaded graph with its one binding of inputs and outputs. */
export class Session {
  readonly #session: Pointer;
  readonly #binding: Pointer;

  /** @throws {OrtError} the graph cannot be loaded */
  constructor(modelPath: string, options: SessionOptions) {
    const ort = ortApi();
    const sessionOptions = create((out) => ort.createSessionOptions(out));
    try {
      // Patterns are kept per set of input shapes, and ours change with every step: they would pile up.
      check(ort.disableMemPattern(sessionOptions));
      check(ort.setSessionGraphOptimizationLevel(sessionOptions, optimizeAll));
      check(ort.setIntraOpNumThreads(sessionOptions, options.threads));
      const spinning = options.spinning ? '1' : '0';
      check(ort.addSessionConfigEntry(sessionOptions, 'session.intra_op.allow_spinning', spinning));
      this.#session = create((out) => ort.createSession(environment(), modelPath, sessionOptions, out));
    } finally {
      ort.releaseSessionOptions(sessionOptions);
    }
    this.#binding = create((out) => ort.createIoBinding(this.#session, out));
  }

  /** Binds an input until it is bound anew. The buffer has to outlive the runs. */
  bindInput(name: string, tensor: TensorView): void {
    bind(tensor, (value) => ortApi().bindInput(this.#binding, name, value));
  }

  bindOutput(name: string, tensor: TensorView): void {
    bind(tensor, (value) => ortApi().bindOutput(this.#binding, name, value));
  }

  /**
   * Runs the graph on another thread. One run at a time.
   * @throws {OrtError} the run failed
   */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      ortApi().runWithBinding.async(
        this.#session,
        null,
        this.#binding,
        (error: Error | null, status: Pointer | null) => {
          try {
            if (error) throw error;
            check(status);
            resolve();
          } catch (failure) {
            reject(failure);
          }
        },
      );
    });
  }

  /** No run may be in flight. */
  release(): void {
    ortApi().releaseIoBinding(this.#binding);
    ortApi().releaseSession(this.#session);
  }
}

/** The binding keeps a tensor of its own: ours is released as soon as it is bound. */
function bind(tensor: TensorView, call: (value: Pointer) => Pointer | null): void {
  const { buffer, byteOffset = 0, type, shape } = tensor;
  const byteLength = shape.reduce((product, size) => product * size, elementBytes[type]);
  if (byteOffset + byteLength > buffer.byteLength) {
    throw new RangeError(`a tensor of ${byteLength} bytes at ${byteOffset} exceeds its buffer of ${buffer.byteLength}`);
  }
  const dims = BigInt64Array.from(shape, BigInt);
  const address = buffer.pointer + BigInt(byteOffset);
  const value = create((out) =>
    ortApi().createTensorWithDataAsOrtValue(
      cpuMemory(),
      address,
      byteLength,
      dims,
      dims.length,
      elementTypes[type],
      out,
    ),
  );
  try {
    check(call(value));
  } finally {
    ortApi().releaseValue(value);
  }
}

function create(call: (out: Out) => Pointer | null): Pointer {
  const out: Out = [null];
  check(call(out));
  if (out[0] === null) throw new OrtError('ONNX Runtime gave no object and no error');
  return out[0];
}

function check(status: Pointer | null): void {
  if (status === null) return;
  const ort = ortApi();
  const error = new OrtError(ort.getErrorMessage(status));
  ort.releaseStatus(status);
  throw error;
}
