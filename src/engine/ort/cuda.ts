import { existsSync } from 'node:fs';
import path from 'node:path';
import { DeviceError, type DeviceProvider } from './device-provider.ts';
import {
  libraryFolder,
  type Out,
  ortFunctions,
  outAddress,
  type Pointer,
  packageFolder,
  systemFunctions,
} from './native.ts';
import { check, create, reasonOf } from './status.ts';

/*
 * The code that only an NVIDIA GPU can run. Everything else (allocators, bindings, copies, runs) is the same for every device and is
 * tested on WebGPU.
 */

const flag = '--onnxruntime-node-install=cuda12';

/** The command that installs the provider. npm 12 does not pass flags to packages, and `npm rebuild` sees only the current folder. */
function installCommand(): string {
  const script = path.join(packageFolder(), 'script', 'install');
  const relative = path.relative('', script);
  const isOfThisFolder = relative === path.join('node_modules', 'onnxruntime-node', 'script', 'install');
  if (!isOfThisFolder) return `node ${script} ${flag}`;
  return `npm rebuild onnxruntime-node ${flag} (with npm 12: node ${relative} ${flag})`;
}

/**
 * Declared in onnxruntime_c_api.h, `struct OrtApi`; the first number is the index in that table.
 * https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_c_api.h
 */
interface CudaProviderApi {
  /** `CreateCUDAProviderOptions(OrtCUDAProviderOptionsV2** out)`; "must be released with ReleaseCudaProviderOptions". */
  createOptions(out: Out): Pointer | null;
  /** `UpdateCUDAProviderOptions(OrtCUDAProviderOptionsV2*, const char* const* keys, const char* const* values, size_t num_keys)` */
  updateOptions(options: Pointer, keys: readonly string[], values: readonly string[], numKeys: number): Pointer | null;
  /** `SessionOptionsAppendExecutionProvider_CUDA_V2(OrtSessionOptions*, const OrtCUDAProviderOptionsV2*)` */
  append(sessionOptions: Pointer, options: Pointer): Pointer | null;
  /** `void ReleaseCUDAProviderOptions(OrtCUDAProviderOptionsV2*)` */
  releaseOptions(options: Pointer): void;
}

function cudaProviderApi(): CudaProviderApi {
  return ortFunctions<CudaProviderApi>({
    createOptions: [205, 'void *', [outAddress]],
    updateOptions: [206, 'void *', ['void *', 'str *', 'str *', 'size_t']],
    append: [204, 'void *', ['void *', 'void *']],
    releaseOptions: [208, 'void', ['void *']],
  });
}

/** The CUDA driver. Each function returns 0 (`CUDA_SUCCESS`) or a `CUresult`: https://docs.nvidia.com/cuda/cuda-driver-api/ */
interface CudaDriver {
  /** `cuInit(unsigned int Flags)`, "Flags must be 0": group__CUDA__INITIALIZE.html */
  cuInit(flags: 0): number;
  /** `cuDeviceGetCount(int* count)`: group__CUDA__DEVICE.html */
  cuDeviceGetCount(count: Int32Array): number;
  /** `cuDeviceGet(CUdevice* device, int ordinal)`, a CUdevice is an int: group__CUDA__DEVICE.html */
  cuDeviceGet(device: Int32Array, ordinal: number): number;
  /** `cuDeviceGetName(char* name, int len, CUdevice dev)`, null-terminated: group__CUDA__DEVICE.html */
  cuDeviceGetName(name: Buffer, length: number, device: number): number;
}

const driverFile = 'libcuda.so.1';

/** @throws {Error} there is no driver */
function cudaDriver(): CudaDriver {
  return systemFunctions<CudaDriver>(driverFile, {
    cuInit: ['int', ['uint']],
    cuDeviceGetCount: ['int', ['int *']],
    cuDeviceGet: ['int', ['int *', 'int']],
    cuDeviceGetName: ['int', ['uint8 *', 'int', 'int']],
  });
}

/** `CUDA_ERROR_NO_DEVICE`: group__CUDA__TYPES.html */
const noDevice = 100;

/** @throws {DeviceError} there is no such device, or something it needs is not installed */
export function cudaProvider(index: number): DeviceProvider {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new DeviceError(
      `onnxruntime-node has a CUDA provider for Linux on x64 only, not for ${process.platform} ${process.arch}`,
    );
  }
  const names = deviceNames();
  const name = names[index];
  if (name === undefined) {
    const present = names.map((each, i) => `cuda:${i} (${each})`).join(', ');
    throw new DeviceError(`there is no cuda:${index}: this machine has ${present || 'no CUDA device'}`);
  }
  if (!hasProvider()) throw new DeviceError(`onnxruntime-node has no CUDA provider here; run: ${installCommand()}`);
  return {
    name: `cuda:${index} (${name})`,
    // `CUDA` in core/framework/allocator.h; the device's own memory is OrtDeviceAllocator, OrtMemTypeDefault.
    memory: { name: 'Cuda', deviceIndex: index },
    append: (sessionOptions) => append(sessionOptions, index),
  };
}

/** `npm ci` does not install it: it is large and is not downloaded from npm. */
function hasProvider(): boolean {
  return existsSync(path.join(libraryFolder(), 'libonnxruntime_providers_cuda.so'));
}

/**
 * Options: https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#configuration-options. These keep
 * their defaults: copies in the compute stream (`do_copy_in_default_stream`), no CUDA graphs (see docs/gpu.md).
 */
function append(sessionOptions: Pointer, index: number): void {
  const api = cudaProviderApi();
  const options = create((out) => api.createOptions(out));
  try {
    const settings = {
      device_id: String(index),
      // The cache is allocated at the start and does not grow. Doubling the arena with each part would leave half of it unused.
      arena_extend_strategy: 'kSameAsRequested',
    };
    check(api.updateOptions(options, Object.keys(settings), Object.values(settings), Object.keys(settings).length));
    check(api.append(sessionOptions, options));
  } catch (error) {
    throw new DeviceError(
      `the CUDA provider cannot be used: ${reasonOf(error)}; it needs a recent enough driver, and the CUDA and cuDNN libraries on the library path (LD_LIBRARY_PATH); see docs/gpu.md`,
    );
  } finally {
    api.releaseOptions(options);
  }
}

/** Device names in CUDA's order. @throws {DeviceError} there is no driver, or it does not work */
function deviceNames(): string[] {
  let driver: CudaDriver;
  try {
    driver = cudaDriver();
  } catch {
    const then = hasProvider() ? 'install it' : `install it, then run: ${installCommand()}`;
    throw new DeviceError(`there is no NVIDIA driver (${driverFile} cannot be loaded); ${then}`);
  }
  const result = driver.cuInit(0);
  if (result === noDevice) return [];
  succeed('cuInit', result);
  const count = new Int32Array(1);
  succeed('cuDeviceGetCount', driver.cuDeviceGetCount(count));
  return Array.from({ length: count[0] ?? 0 }, (_, ordinal) => {
    const device = new Int32Array(1);
    succeed('cuDeviceGet', driver.cuDeviceGet(device, ordinal));
    const name = Buffer.alloc(256);
    succeed('cuDeviceGetName', driver.cuDeviceGetName(name, name.length, device[0] ?? 0));
    return name.toString('utf8', 0, name.indexOf(0));
  });
}

function succeed(call: string, result: number): void {
  if (result !== 0) throw new DeviceError(`the NVIDIA driver does not work: ${call} returned error ${result}`);
}
