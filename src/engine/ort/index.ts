export { NativeBuffer } from './native.ts';
export { type ElementType, OrtError, Session, type SessionOptions, type TensorView } from './session.ts';
