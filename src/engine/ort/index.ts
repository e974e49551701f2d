export { type Device, expectDevice } from './device.ts';
export { DeviceError } from './device-provider.ts';
export { exitNow, type NativeArray, NativeBuffer, nativeArray } from './native.ts';
export { Resources } from './resources.ts';
export { Session, type SessionOptions } from './session.ts';
export { OrtError } from './status.ts';
export { DeviceBuffer, type ElementType, elementBytes } from './tensor-values.ts';
