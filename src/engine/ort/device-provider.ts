import type { Pointer } from './native.ts';

/** A device cannot be used. The message says why and what to do. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}

/** How ONNX Runtime runs graphs on a device with its own memory: an execution provider. */
export interface DeviceProvider {
  /** For messages. */
  readonly name: string;
  /** The device's memory, as `CreateMemoryInfo` names it. */
  readonly memory: { readonly name: string; readonly deviceIndex: number };
  /** Adds the provider to a session's options. @throws {OrtError | DeviceError} it is not available */
  append(options: Pointer): void;
}
