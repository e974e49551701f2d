import type { Pointer } from './native.ts';

/** A device cannot be used; the message says why and what to do. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}

/** How ONNX Runtime runs graphs on a device with memory of its own; its word is execution provider. */
export interface DeviceProvider {
  /** For people. */
  readonly name: string;
  /** Its memory, as `CreateMemoryInfo` wants it to be named. */
  readonly memory: { readonly name: string; readonly deviceIndex: number };
  /** Adds it to a session's options. @throws {OrtError | DeviceError} it cannot be had */
  append(options: Pointer): void;
}
