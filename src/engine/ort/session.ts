import { type Device, providerOf } from './device.ts';
import type { DeviceProvider } from './device-provider.ts';
import { environment } from './environment.ts';
import { deviceMemoryInfo } from './memory-info.ts';
import { type NativeBuffer, ortApi, type Pointer } from './native.ts';
import { type Resource, Resources } from './resources.ts';
import { check, create } from './status.ts';
import { DeviceBuffer, keyOf, TensorValues, type TensorView } from './tensor-values.ts';

export interface SessionOptions {
  /** Threads that a run uses, including the calling one. */
  readonly threads: number;
  /** Whether threads that wait during a run spin for a while before they sleep: faster, but leaves less of the cores to others. */
  readonly spinning: boolean;
  /** By default the CPU. */
  readonly device?: Device;
  /** Whether GroupQueryAttention may use its flash kernel on the CPU. By default it may. */
  readonly flashAttention?: boolean;
  /** If given, ONNX Runtime records where and how long every node ran, in a file with this prefix, written when the session is released. */
  readonly profilePrefix?: string;
}

const optimizeAll = 99;
/** Enough for 40 to 80 compositions of a batch. Each binds the keys and values of 12 to 24 layers for two groups of rows. */
const maxValues = 4096;

/** Makes file names unique: ONNX Runtime itself only adds a time in milliseconds. */
let numProfiles = 0;

/** Allocates a device's memory through ONNX Runtime. */
interface DeviceMemory {
  readonly allocator: Pointer;
  readonly memoryInfo: Pointer;
}

/** A loaded graph and its binding of inputs and outputs. Bound host memory is kept alive. */
export class Session implements Resource {
  readonly #owned = new Resources();
  readonly #session: Pointer;
  readonly #binding: Pointer;
  readonly #runOptions: Pointer;
  readonly #deviceMemory: DeviceMemory | undefined;
  readonly #bound = new Map<string, NativeBuffer>();
  readonly #values = new TensorValues(maxValues);
  /** The key of the tensor that is bound to each output. */
  readonly #outputs = new Map<string, string>();

  /**
   * @param model path of a graph, or the graph itself
   * @throws {OrtError} the graph cannot be loaded on the device
   * @throws {DeviceError} the device cannot be used
   */
  constructor(model: string | Uint8Array, options: SessionOptions) {
    const ort = ortApi();
    const provider = providerOf(options.device ?? { kind: 'cpu' });
    this.#owned.onFree(() => {
      for (const buffer of this.#bound.values()) buffer.letGo();
    });
    try {
      this.#session = this.#own(createSession(model, options, provider), ort.releaseSession);
      this.#runOptions = this.#own(create(ort.createRunOptions), ort.releaseRunOptions);
      this.#deviceMemory = provider && this.#memoryOf(provider);
      this.#binding = this.#own(
        create((out) => ort.createIoBinding(this.#session, out)),
        ort.releaseIoBinding,
      );
      this.#owned.own(this.#values);
    } catch (error) {
      this.#owned.free();
      throw error;
    }
  }

  /** Whether the session runs on a device. Binding an input then copies it, and later writes to it are not seen. */
  get hasDeviceMemory(): boolean {
    return this.#deviceMemory !== undefined;
  }

  /** Allocates memory of the device that the session runs on. @throws {OrtError} the device is out of memory */
  allocate(byteLength: number): DeviceBuffer {
    const memory = this.#deviceMemory;
    if (memory === undefined) throw new Error('the CPU has no memory but NativeBuffer');
    const pointer = create((out) => ortApi().allocatorAlloc(memory.allocator, byteLength, out));
    this.#owned.onFree(() => check(ortApi().allocatorFree(memory.allocator, pointer)));
    return new DeviceBuffer(pointer, byteLength, memory.memoryInfo);
  }

  /** Binds an input until another one is bound to the name. */
  bindInput(name: string, tensor: TensorView): void {
    check(ortApi().bindInput(this.#binding, name, this.#values.of(tensor)));
    this.#keep(name, tensor.buffer);
  }

  /** Binds an output until another one is bound to the name. Binding the same tensor again costs nothing. */
  bindOutput(name: string, tensor: TensorView): void {
    const key = keyOf(tensor);
    if (this.#outputs.get(name) === key) return;
    check(ortApi().bindOutput(this.#binding, name, this.#values.of(tensor, key)));
    this.#outputs.set(name, key);
    this.#keep(name, tensor.buffer);
  }

  /**
   * Runs the graph on another thread. One run at a time.
   * @throws {OrtError} the run failed or was terminated
   */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      ortApi().runWithBinding.async(
        this.#session,
        this.#runOptions,
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

  /** Makes the run in flight fail at its next node, and every later run fail at once. */
  terminate(): void {
    check(ortApi().runOptionsSetTerminate(this.#runOptions));
  }

  /** No run may be in flight. */
  free(): void {
    this.#owned.free();
  }

  #own(pointer: Pointer, release: (pointer: Pointer) => void): Pointer {
    this.#owned.onFree(() => release(pointer));
    return pointer;
  }

  /** Source: `CreateAllocator` in onnxruntime_c_api.h */
  #memoryOf({ memory: { name, deviceIndex } }: DeviceProvider): DeviceMemory {
    const ort = ortApi();
    const memoryInfo = this.#own(deviceMemoryInfo(name, deviceIndex), ort.releaseMemoryInfo);
    const allocator = create((out) => ort.createAllocator(this.#session, memoryInfo, out));
    return { memoryInfo, allocator: this.#own(allocator, ort.releaseAllocator) };
  }

  #keep(name: string, buffer: NativeBuffer | DeviceBuffer): void {
    const before = this.#bound.get(name);
    if (before === buffer) return;
    if (buffer instanceof DeviceBuffer) {
      this.#bound.delete(name);
    } else {
      buffer.hold();
      this.#bound.set(name, buffer);
    }
    before?.letGo();
  }
}

function createSession(
  model: string | Uint8Array,
  { threads, spinning, flashAttention = true, profilePrefix }: SessionOptions,
  provider: DeviceProvider | undefined,
): Pointer {
  const ort = ortApi();
  const env = environment();
  const options = create((out) => ort.createSessionOptions(out));
  try {
    // Patterns are kept per set of input shapes. Ours change with every step, so patterns would pile up.
    check(ort.disableMemPattern(options));
    check(ort.setSessionGraphOptimizationLevel(options, optimizeAll));
    check(ort.setIntraOpNumThreads(options, threads));
    check(ort.addSessionConfigEntry(options, 'session.intra_op.allow_spinning', spinning ? '1' : '0'));
    // Between two runs, the cores belong to others: the event loop, and clients on the same machine.
    check(ort.addSessionConfigEntry(options, 'session.force_spinning_stop', '1'));
    if (profilePrefix !== undefined) check(ort.enableProfiling(options, `${profilePrefix}-${numProfiles++}`));
    if (provider !== undefined) {
      provider.append(options);
      // An operator that the device cannot run is an error: on the CPU it would be slow and pull the cache there.
      check(ort.addSessionConfigEntry(options, 'session.disable_cpu_ep_fallback', '1'));
    }
    const createNow = () =>
      typeof model === 'string'
        ? create((out) => ort.createSession(env, model, options, out))
        : create((out) => ort.createSessionFromArray(env, model, model.byteLength, options, out));
    return flashAttention ? createNow() : withoutFlashAttention(createNow);
  } finally {
    ort.releaseSessionOptions(options);
  }
}

const flashSwitch = 'ORT_GQA_DISABLE_FLASH_ATTENTION';

/** ONNX Runtime has no option for this. It reads the process's environment when it creates the kernels of a session. */
function withoutFlashAttention<Result>(createNow: () => Result): Result {
  const before = process.env[flashSwitch];
  process.env[flashSwitch] = '1';
  try {
    return createNow();
  } finally {
    if (before === undefined) delete process.env[flashSwitch];
    else process.env[flashSwitch] = before;
  }
}
