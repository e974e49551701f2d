import Type, { type Static } from 'typebox';
import { checkWellFormed, InvalidRequestError, type Prompt, show } from '../../../core/index.ts';

/** Not a union: validating one creates an error for every kind that an item is not of, and there may be 100,000 items. */
const promptItem = Type.Unsafe<string | number | readonly number[]>({
  type: ['string', 'integer', 'array'],
  minimum: 0,
  items: { type: 'integer', minimum: 0 },
  description: 'a string, a token id, or a list of token ids',
});

export const promptField = Type.Union([Type.String(), Type.Array(promptItem)], {
  description: 'a string, a list of strings, a list of token ids, or a list of lists of token ids; nothing of it empty',
});

/**
 * One prompt per text or list of ids.
 * @throws {InvalidRequestError} a prompt is empty or not well-formed, or items of a list are of different kinds
 */
export function promptsOf(field: Static<typeof promptField>): readonly Prompt[] {
  checkWellFormed('prompt', field);
  if (typeof field === 'string') return [notEmpty(field, 'prompt')];
  const [first] = notEmpty(field, 'prompt');
  if (typeof first === 'number') return [field.map((item, index) => ofKind(item, isId, { index, kind: 'a token id' }))];
  if (typeof first === 'string') {
    return field.map((item, index) => {
      return notEmpty(ofKind(item, isText, { index, kind: 'a string' }), `prompt[${index}]`);
    });
  }
  return field.map((item, index) => {
    return notEmpty(ofKind(item, isList, { index, kind: 'a list of token ids' }), `prompt[${index}]`);
  });
}

type Item = Static<typeof promptItem>;

const isId = (item: Item): item is number => typeof item === 'number';
const isText = (item: Item): item is string => typeof item === 'string';
const isList = (item: Item): item is readonly number[] => Array.isArray(item);

function ofKind<Kind extends Item>(
  item: Item,
  isOfKind: (item: Item) => item is Kind,
  { index, kind }: { readonly index: number; readonly kind: string },
): Kind {
  if (isOfKind(item)) return item;
  const message = `prompt[${index}] is ${show(item)}; it must be ${kind}, as the items before it are`;
  throw new InvalidRequestError(message, 'prompt');
}

function notEmpty<Value extends string | readonly unknown[]>(value: Value, name: string): Value {
  if (value.length > 0) return value;
  throw new InvalidRequestError(`${name} is empty; a decoder prompt cannot be empty`, 'prompt');
}
