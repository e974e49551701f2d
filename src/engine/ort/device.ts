import { cudaProvider } from './cuda.ts';
import { DeviceError, type DeviceProvider } from './device-provider.ts';
import { environment } from './environment.ts';
import { ortApi } from './native.ts';
import { check, create } from './status.ts';

/** Where a graph runs. */
export type Device =
  | { readonly kind: 'cpu' }
  | { readonly kind: 'webgpu' }
  | { readonly kind: 'cuda'; readonly index: number };

/**
 * WebGPU, which the library of onnxruntime-node has within it.
 * Source: `SessionOptionsAppendExecutionProvider` in onnxruntime_c_api.h, `WEBGPU_BUFFER` in core/framework/allocator.h
 */
const webgpuProvider: DeviceProvider = {
  name: 'WebGPU',
  memory: { name: 'WebGPU_Buf', deviceIndex: 0 },
  append: (options) => check(ortApi().appendProvider(options, 'WebGPU', null, null, 0)),
};

/** Undefined for the CPU, which needs none. @throws {DeviceError} the device is not there, or not all that it needs */
export function providerOf(device: Device): DeviceProvider | undefined {
  switch (device.kind) {
    case 'cpu':
      return undefined;
    case 'webgpu':
      return webgpuProvider;
    case 'cuda':
      return cudaProvider(device.index);
  }
}

/**
 * Makes sure that graphs can run on a device, before one is loaded.
 * @returns its name, for people
 * @throws {DeviceError} they cannot
 */
export function expectDevice(device: Device): string {
  const ort = ortApi();
  const provider = providerOf(device);
  if (provider === undefined) return 'CPU';
  environment();
  const options = create((out) => ort.createSessionOptions(out));
  try {
    provider.append(options);
    return provider.name;
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    // In front of the reason, ONNX Runtime says in which of its own functions it is.
    throw new DeviceError(`it cannot be used: ${/ was false\. (.*)/s.exec(message)?.[1]?.trim() ?? message}`);
  } finally {
    ort.releaseSessionOptions(options);
  }
}
