import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import koffi, { type KoffiFunc, type LibraryHandle } from 'koffi';
import type { Resource } from './resources.ts';

/** An address outside the JavaScript heap. */
export type Pointer = bigint;

/** An `OrtStatus *`: null if the call succeeded. */
type Status = Pointer | null;
/** Receives the address that a call returns through a parameter. */
export type Out = [Pointer | null];

/**
 * The functions of ONNX Runtime's C API that are used here. The API is a table of function pointers. Its order is fixed and it only
 * grows at the end, so a function is identified by its index.
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
  enableProfiling(options: Pointer, filePrefix: string): Status;
  appendProvider(options: Pointer, name: string, keys: null, values: null, numKeys: 0): Status;
  createSession(env: Pointer, modelPath: string, options: Pointer, out: Out): Status;
  createSessionFromArray(env: Pointer, model: Uint8Array, byteLength: number, options: Pointer, out: Out): Status;
  releaseSession(session: Pointer): void;
  createCpuMemoryInfo(allocatorType: number, memoryType: number, out: Out): Status;
  createMemoryInfo(name: string, allocatorType: number, deviceIndex: number, memoryType: number, out: Out): Status;
  releaseMemoryInfo(memoryInfo: Pointer): void;
  createAllocator(session: Pointer, memoryInfo: Pointer, out: Out): Status;
  releaseAllocator(allocator: Pointer): void;
  allocatorAlloc(allocator: Pointer, byteLength: number, out: Out): Status;
  allocatorFree(allocator: Pointer, memory: Pointer): Status;
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
  runWithBinding: KoffiFunc<(session: Pointer, runOptions: Pointer, binding: Pointer) => Status>;
  createRunOptions(out: Out): Status;
  runOptionsSetTerminate(runOptions: Pointer): Status;
  releaseRunOptions(runOptions: Pointer): void;
}

const pathType = process.platform === 'win32' ? 'str16' : 'str';

/** The type of a parameter through which a call returns an address. */
export const outAddress: ReturnType<typeof koffi.out> = koffi.out(koffi.pointer('void *'));

type Parameters = (string | typeof outAddress)[];
/** A function of ONNX Runtime's table. */
export type TableFunction = readonly [place: number, result: string, parameters: Parameters];
/** A function that a library exports by name. */
type NamedFunction = readonly [result: string, parameters: Parameters];

const signatures: Readonly<Record<keyof OrtApi, TableFunction>> = {
  getErrorMessage: [2, 'str', ['void *']],
  releaseStatus: [93, 'void', ['void *']],
  createEnv: [3, 'void *', ['int', 'str', outAddress]],
  createSessionOptions: [10, 'void *', [outAddress]],
  releaseSessionOptions: [100, 'void', ['void *']],
  disableMemPattern: [17, 'void *', ['void *']],
  setSessionGraphOptimizationLevel: [23, 'void *', ['void *', 'int']],
  setIntraOpNumThreads: [24, 'void *', ['void *', 'int']],
  enableProfiling: [14, 'void *', ['void *', pathType]],
  addSessionConfigEntry: [130, 'void *', ['void *', 'str', 'str']],
  appendProvider: [216, 'void *', ['void *', 'str', 'void *', 'void *', 'size_t']],
  createSession: [7, 'void *', ['void *', pathType, 'void *', outAddress]],
  createSessionFromArray: [8, 'void *', ['void *', 'uint8 *', 'size_t', 'void *', outAddress]],
  releaseSession: [95, 'void', ['void *']],
  createCpuMemoryInfo: [69, 'void *', ['int', 'int', outAddress]],
  createMemoryInfo: [68, 'void *', ['str', 'int', 'int', 'int', outAddress]],
  releaseMemoryInfo: [94, 'void', ['void *']],
  createAllocator: [131, 'void *', ['void *', 'void *', outAddress]],
  releaseAllocator: [132, 'void', ['void *']],
  allocatorAlloc: [75, 'void *', ['void *', 'size_t', outAddress]],
  allocatorFree: [76, 'void *', ['void *', 'void *']],
  createTensorWithDataAsOrtValue: [
    49,
    'void *',
    ['void *', 'void *', 'size_t', 'int64 *', 'size_t', 'int', outAddress],
  ],
  releaseValue: [96, 'void', ['void *']],
  createIoBinding: [134, 'void *', ['void *', outAddress]],
  releaseIoBinding: [135, 'void', ['void *']],
  bindInput: [136, 'void *', ['void *', 'str', 'void *']],
  bindOutput: [137, 'void *', ['void *', 'str', 'void *']],
  runWithBinding: [133, 'void *', ['void *', 'void *', 'void *']],
  createRunOptions: [39, 'void *', [outAddress]],
  runOptionsSetTerminate: [46, 'void *', ['void *']],
  releaseRunOptions: [97, 'void', ['void *']],
};

/** The version of ONNX Runtime 1.17. All functions above are older, and a newer version would only reject more libraries. */
const apiVersion = 17;
const pointerBytes = 8;

/** ONNX Runtime runs kernels on the calling thread, and the stack of koffi's asynchronous calls is small by default. */
const asyncStackBytes = 16 * 2 ** 20;

// koffi accepts this only before it loads its first library.
koffi.config({ async_stack_size: asyncStackBytes });

interface Loaded {
  readonly table: Pointer;
  /** Kept alive as long as the process: collecting it would unload the code under a running call. */
  readonly library: LibraryHandle;
}

let loaded: Loaded | undefined;
let api: OrtApi | undefined;

/** ONNX Runtime, loaded once per process from the library that onnxruntime-node ships. */
export function ortApi(): OrtApi {
  api ??= ortFunctions<OrtApi>(signatures);
  return api;
}

/** Further functions of ONNX Runtime's table. */
export function ortFunctions<Api>(signatures: Readonly<Record<keyof Api, TableFunction>>): Api {
  loaded ??= load();
  const { table } = loaded;
  const functions = Object.entries<TableFunction>(signatures).map(([name, [place, result, parameters]]) => [
    name,
    koffi.decode(koffi.decode(table, place * pointerBytes, 'void *'), koffi.proto(result, parameters)),
  ]);
  return Object.fromEntries(functions) as Api;
}

function load(): Loaded {
  const library = koffi.load(libraryPath());
  const base: Pointer = library.func('OrtGetApiBase', 'void *', [])();
  const getApi = koffi.decode(koffi.decode(base, 0, 'void *'), koffi.proto('void *', ['uint32']));
  const table: Pointer | null = getApi(apiVersion);
  if (table === null) throw new Error(`ONNX Runtime does not support version ${apiVersion} of its API`);
  return { table, library };
}

/** The folder of onnxruntime-node's libraries for this machine. */
export function libraryFolder(): string {
  return path.join(packageFolder(), 'bin', 'napi-v6', process.platform, process.arch);
}

/** The folder of onnxruntime-node. */
export function packageFolder(): string {
  return path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
}

function libraryPath(): string {
  const folder = libraryFolder();
  let files: string[] = [];
  try {
    files = readdirSync(folder);
  } catch {
    // Reported below.
  }
  const file = files.find((name) => /^(lib)?onnxruntime[.\d]*\.(so\.1|dylib|dll)$/.test(name));
  if (file === undefined) {
    throw new Error(`onnxruntime-node has no library for ${process.platform} ${process.arch} in ${folder}`);
  }
  return path.join(folder, file);
}

/** Keeps libraries from being collected, which would unload them. */
const kept: LibraryHandle[] = [];

/** Functions of a system library. @throws {Error} it cannot be loaded */
export function systemFunctions<Api>(file: string | null, prototypes: Readonly<Record<keyof Api, NamedFunction>>): Api {
  const library = koffi.load(file);
  kept.push(library);
  const functions = Object.entries<NamedFunction>(prototypes).map(([name, [result, parameters]]) => [
    name,
    library.func(name, result, parameters),
  ]);
  return Object.fromEntries(functions) as Api;
}

/** The library with the C functions; null is the process itself. */
const cLibrary = process.platform === 'win32' ? 'ucrtbase.dll' : null;

/** The C library's memory functions. koffi's own allocate at most 2 GiB at once, and a KV cache may need more. */
interface CMemory {
  calloc(count: number, size: number): Pointer | null;
  free(pointer: Pointer): void;
  memmove(target: Pointer, source: Pointer, length: number): Pointer;
}

let memory: CMemory | undefined;

function cMemory(): CMemory {
  memory ??= systemFunctions<CMemory>(cLibrary, {
    calloc: ['void *', ['size_t', 'size_t']],
    free: ['void', ['void *']],
    memmove: ['void *', ['void *', 'void *', 'size_t']],
  });
  return memory;
}

/**
 * Ends the process without waiting for anything. `process.exit` waits for the threads of libuv's pool, and a step that hangs occupies
 * one of them.
 */
export function exitNow(code: number): never {
  const { _exit: end } = systemFunctions<{ _exit(code: number): never }>(cLibrary, { _exit: ['void', ['int']] });
  return end(code);
}

/** An array in a {@link NativeBuffer}. */
export interface NativeArray<Values> extends Resource {
  readonly buffer: NativeBuffer;
  readonly values: Values;
}

/** @throws {RangeError} the system is out of memory */
export function nativeArray<Values>(
  Values: { readonly BYTES_PER_ELEMENT: number; new (bytes: ArrayBuffer): Values },
  length: number,
): NativeArray<Values> {
  const buffer = new NativeBuffer(length * Values.BYTES_PER_ELEMENT);
  return { buffer, values: new Values(buffer.bytes), free: () => buffer.free() };
}

let numAllocated = 0;

/** Native buffers that have not been freed. */
export function numAllocatedBuffers(): number {
  return numAllocated;
}

/** Zeroed memory outside the JavaScript heap, which does not move. Its pages occupy no memory until they are written. */
export class NativeBuffer implements Resource {
  readonly pointer: Pointer;
  readonly byteLength: number;
  #isFreed = false;
  /** The owner, and the sessions that have bound it. */
  #numHolders = 1;

  /** @throws {RangeError} the system is out of memory */
  constructor(byteLength: number) {
    this.byteLength = Math.max(1, byteLength);
    const pointer = cMemory().calloc(1, this.byteLength);
    if (pointer === null) throw new RangeError(`the system cannot allocate ${this.byteLength} bytes`);
    this.pointer = pointer;
    numAllocated++;
  }

  /** The buffer's bytes, to wrap in a typed array. Must not be used after {@link free}. */
  get bytes(): ArrayBuffer {
    return koffi.view(this.pointer, this.byteLength);
  }

  /** Copies bytes within the buffer. */
  copyWithin(target: number, source: number, length: number): void {
    cMemory().memmove(this.pointer + BigInt(target), this.pointer + BigInt(source), length);
  }

  /** Keeps the memory until {@link letGo}, even if its owner frees it. */
  hold(): void {
    this.#numHolders++;
  }

  letGo(): void {
    if (--this.#numHolders > 0) return;
    cMemory().free(this.pointer);
    numAllocated--;
  }

  /** Releases the memory as soon as no session has it bound. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.letGo();
  }
}
