import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import koffi, { type KoffiFunc, type LibraryHandle } from 'koffi';

/** An address outside the JavaScript heap. */
export type Pointer = bigint;

/** An `OrtStatus *`: null where the call went well. */
type Status = Pointer | null;
/** Where a call puts the address that it gives. */
export type Out = [Pointer | null];

/**
 * The functions of ONNX Runtime's C API that are used here. The API is a table of function pointers, whose order is fixed and
 * which only ever grows at the end, so that a function is its place in the table.
 * Source: `struct OrtApi` in
 * https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_c_api.h
 */
export interface OrtApi {
  getErrorMessage(status: Pointer): string;
  releaseStatus(status: Pointer): void;
  createEnv(logLevel: number, logId: string, out: Out): Status;
  createSessionOptions(out: Out): Status;
  releaseSessionOptions(options: Pointer): void;
  disableMemPattern(options: Pointer): Status;
  setSessionGraphOptimizationLevel(options: Pointer, level: number): Status;
  setIntraOpNumThreads(options: Pointer, threads: number): Status;
  addSessionConfigEntry(options: Pointer, key: string, value: string): Status;
  createSession(env: Pointer, modelPath: string, options: Pointer, out: Out): Status;
  releaseSession(session: Pointer): void;
  createCpuMemoryInfo(allocatorType: number, memoryType: number, out: Out): Status;
  createTensorWithDataAsOrtValue(
    memoryInfo: Pointer,
    data: Pointer,
    byteLength: number,
    shape: BigInt64Array,
    rank: number,
    elementType: number,
    out: Out,
  ): Status;
  releaseValue(value: Pointer): void;
  createIoBinding(session: Pointer, out: Out): Status;
  releaseIoBinding(binding: Pointer): void;
  bindInput(binding: Pointer, name: string, value: Pointer): Status;
  bindOutput(binding: Pointer, name: string, value: Pointer): Status;
  runWithBinding: KoffiFunc<(session: Pointer, runOptions: null, binding: Pointer) => Status>;
}

const pathType = process.platform === 'win32' ? 'str16' : 'str';
const out = koffi.out(koffi.pointer('void *'));

type Signature = readonly [place: number, result: string, args: (string | ReturnType<typeof koffi.out>)[]];

const signatures: Readonly<Record<keyof OrtApi, Signature>> = {
  getErrorMessage: [2, 'str', ['void *']],
  releaseStatus: [93, 'void', ['void *']],
  createEnv: [3, 'void *', ['int', 'str', out]],
  createSessionOptions: [10, 'void *', [out]],
  releaseSessionOptions: [100, 'void', ['void *']],
  disableMemPattern: [17, 'void *', ['void *']],
  setSessionGraphOptimizationLevel: [23, 'void *', ['void *', 'int']],
  setIntraOpNumThreads: [24, 'void *', ['void *', 'int']],
  addSessionConfigEntry: [130, 'void *', ['void *', 'str', 'str']],
  createSession: [7, 'void *', ['void *', pathType, 'void *', out]],
  releaseSession: [95, 'void', ['void *']],
  createCpuMemoryInfo: [69, 'void *', ['int', 'int', out]],
  createTensorWithDataAsOrtValue: [49, 'void *', ['void *', 'void *', 'size_t', 'int64 *', 'size_t', 'int', out]],
  releaseValue: [96, 'void', ['void *']],
  createIoBinding: [134, 'void *', ['void *', out]],
  releaseIoBinding: [135, 'void', ['void *']],
  bindInput: [136, 'void *', ['void *', 'str', 'void *']],
  bindOutput: [137, 'void *', ['void *', 'str', 'void *']],
  runWithBinding: [133, 'void *', ['void *', 'void *', 'void *']],
};

/** Of ONNX Runtime 1.17: all of these are older, and a newer version would only refuse more libraries. */
const apiVersion = 17;
const pointerBytes = 8;

/** ONNX Runtime runs kernels on the calling thread, and koffi's asynchronous calls have a small stack of their own. */
const asyncStackBytes = 16 * 2 ** 20;

// koffi takes this before it has loaded its first library, or not at all.
koffi.config({ async_stack_size: asyncStackBytes });

interface Loaded {
  readonly api: OrtApi;
  /** Kept alive for the life of the process: collecting it would unload the code under a running call. */
  readonly library: LibraryHandle;
}

let loaded: Loaded | undefined;

/** ONNX Runtime, loaded once per process from the library that onnxruntime-node ships. */
export function ortApi(): OrtApi {
  loaded ??= load();
  return loaded.api;
}

function load(): Loaded {
  const library = koffi.load(libraryPath());
  const base: Pointer = library.func('OrtGetApiBase', 'void *', [])();
  const getApi = koffi.decode(koffi.decode(base, 0, 'void *'), koffi.proto('void *', ['uint32']));
  const table: Pointer | null = getApi(apiVersion);
  if (table === null) throw new Error(`ONNX Runtime does not know version ${apiVersion} of its API`);
  const functions = Object.entries(signatures).map(([name, [index, result, args]]) => [
    name,
    koffi.decode(koffi.decode(table, index * pointerBytes, 'void *'), koffi.proto(result, args)),
  ]);
  return { api: Object.fromEntries(functions) as OrtApi, library };
}

function libraryPath(): string {
  const root = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const folder = path.join(root, 'bin', 'napi-v6', process.platform, process.arch);
  let files: string[] = [];
  try {
    files = readdirSync(folder);
  } catch {
    // Reported below: no library for this machine.
  }
  const file = files.find((name) => /^(lib)?onnxruntime[.\d]*\.(so\.1|dylib|dll)$/.test(name));
  if (file === undefined) {
    throw new Error(`onnxruntime-node has no library for ${process.platform} ${process.arch} in ${folder}`);
  }
  return path.join(folder, file);
}

/** The C library's memory functions: koffi's own allocate no more than 2 GiB at once, and a KV cache may need more. */
interface CMemory {
  calloc(count: number, size: number): Pointer | null;
  free(pointer: Pointer): void;
  memmove(target: Pointer, source: Pointer, length: number): Pointer;
}

let memory: CMemory | undefined;

function cMemory(): CMemory {
  if (memory === undefined) {
    const c = koffi.load(process.platform === 'win32' ? 'ucrtbase.dll' : null);
    memory = {
      calloc: c.func('calloc', 'void *', ['size_t', 'size_t']),
      free: c.func('free', 'void', ['void *']),
      memmove: c.func('memmove', 'void *', ['void *', 'void *', 'size_t']),
    };
  }
  return memory;
}

/** Memory outside the JavaScript heap, which does not move; zero pages until written. Freed by its owner. */
export class NativeBuffer {
  readonly pointer: Pointer;
  readonly byteLength: number;

  /** @throws {RangeError} the system does not give that much */
  constructor(byteLength: number) {
    this.byteLength = Math.max(1, byteLength);
    const pointer = cMemory().calloc(1, this.byteLength);
    if (pointer === null) throw new RangeError(`the system does not give ${this.byteLength} bytes`);
    this.pointer = pointer;
  }

  /** The buffer's bytes, to be wrapped in a typed array. Not to be touched after {@link free}. */
  get bytes(): ArrayBuffer {
    return koffi.view(this.pointer, this.byteLength);
  }

  /** Copies bytes within the buffer. */
  copyWithin(target: number, source: number, length: number): void {
    cMemory().memmove(this.pointer + BigInt(target), this.pointer + BigInt(source), length);
  }

  free(): void {
    cMemory().free(this.pointer);
  }
}
