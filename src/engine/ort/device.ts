import { cudaProvider } from './cuda.ts';
import { DeviceError, type DeviceProvider } from './device-provider.ts';
import { environment } from './environment.ts';
import { type OrtApi, ortApi } from './native.ts';
import { check, create, reasonOf } from './status.ts';

/** Where a graph runs. */
export type Device =
  | { readonly kind: 'cpu' }
  | { readonly kind: 'webgpu' }
  | { readonly kind: 'cuda'; readonly index: number };

/**
 * WebGPU, which is built into onnxruntime-node's library.
 * Source: `SessionOptionsAppendExecutionProvider` in onnxruntime_c_api.h, `WEBGPU_BUFFER` in core/framework/allocator.h
 */
const webgpuProvider: DeviceProvider = {
  name: 'WebGPU',
  memory: { name: 'WebGPU_Buf', deviceIndex: 0 },
  append: (options) => check(ortApi().appendProvider(options, 'WebGPU', null, null, 0)),
};

/** By device index: asking the driver takes time, and the answer does not change. */
const cudaProviders = new Map<number, DeviceProvider>();

function knownCudaProvider(index: number): DeviceProvider {
  const provider = cudaProviders.get(index) ?? cudaProvider(index);
  cudaProviders.set(index, provider);
  return provider;
}

/** Undefined for the CPU, which needs none. @throws {DeviceError} the device or something it needs is missing */
export function providerOf(device: Device): DeviceProvider | undefined {
  switch (device.kind) {
    case 'cpu':
      return undefined;
    case 'webgpu':
      return webgpuProvider;
    case 'cuda':
      return knownCudaProvider(device.index);
  }
}

/**
 * Checks that graphs can run on a device.
 * @returns the device's name, for messages
 * @throws {DeviceError} they cannot
 */
export function expectDevice(device: Device): string {
  const ort = loadedOrt();
  const provider = providerOf(device);
  if (provider === undefined) return 'CPU';
  environment();
  const options = create((out) => ort.createSessionOptions(out));
  try {
    provider.append(options);
    return provider.name;
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    throw new DeviceError(`it cannot be used: ${reasonOf(error)}`);
  } finally {
    ort.releaseSessionOptions(options);
  }
}

/** @throws {DeviceError} there is no ONNX Runtime for this machine */
function loadedOrt(): OrtApi {
  try {
    return ortApi();
  } catch (error) {
    throw new DeviceError(error instanceof Error ? error.message : String(error));
  }
}
