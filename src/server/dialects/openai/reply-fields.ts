import Type from 'typebox';
import { completionReasons } from '../../../core/index.ts';
import { fingerprint } from './fingerprint.ts';

export const finishReason = Type.Enum([...completionReasons], {
  description: '`stop` for an end-of-sequence token, too',
});

export const stopReason = Type.Union([Type.String(), Type.Integer(), Type.Null()], {
  description: 'the stop string or stop token that ended the answer',
});

export const tokenIds = Type.Array(Type.Integer());

/** The beginning of every reply and chunk. */
export const head = {
  id: Type.String(),
  created: Type.Integer({ description: 'seconds since 1970' }),
  model: Type.String({ description: 'the first name of the model' }),
  system_fingerprint: fingerprint,
};
