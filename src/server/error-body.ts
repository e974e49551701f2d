import Type, { type Static } from 'typebox';
import { errorTable, type ServingError } from '../core/index.ts';
import { nullable } from './nullable.ts';

/** The body of an error reply, in the shape that OpenAI uses. */
export const errorBody = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.Enum([...new Set(Object.values(errorTable).map(({ type }) => type))]),
    param: nullable(Type.String(), { description: 'the field at fault' }),
    code: Type.Enum(Object.keys(errorTable)),
  }),
});

export type ErrorBody = Static<typeof errorBody>;

export function errorBodyOf(error: ServingError): ErrorBody {
  const { message, type, code, param } = error;
  return {
    error: {
      message: cut(message, maxMessageBytes),
      type,
      param: param === undefined ? null : cut(param, maxParamBytes),
      code,
    },
  };
}

/** Messages may quote what the client sent, such as a URL, which can be of any length. */
export const maxMessageBytes = 1500;
const maxParamBytes = 200;

/** Ends a text in front of the byte that would be too many, in JSON. */
export function cut(text: string, maxBytes: number): string {
  let end = Math.min(text.length, maxBytes);
  while (Buffer.byteLength(JSON.stringify(text.slice(0, end))) > maxBytes) end = Math.floor(end * 0.9);
  return end < text.length ? `${text.slice(0, end)}…` : text;
}
