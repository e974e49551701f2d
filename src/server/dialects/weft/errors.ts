import { ParameterError, type RequestParameter } from '../../../core/index.ts';
import type { ErrorFormat } from '../../dialect.ts';
import { errorBodyOf } from '../../error-body.ts';
import type { GenerateBody } from './schemas.ts';

/** The field of each parameter. */
const fields: Partial<Readonly<Record<RequestParameter, keyof GenerateBody>>> = {
  prompts: 'prompt',
  maxNewTokens: 'max_new_tokens',
  stop: 'stop',
  temperature: 'temperature',
  topK: 'top_k',
  topP: 'top_p',
  seed: 'seed',
  ignoreEos: 'ignore_eos',
};

export const weftErrors: ErrorFormat = (error) => ({
  status: error.status,
  body: errorBodyOf(
    error instanceof ParameterError ? error.named(fields[error.fault.parameter] ?? error.fault.parameter) : error,
  ),
});
