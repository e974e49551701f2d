import { ParameterError, type RequestParameter } from '../../../core/index.ts';
import type { ErrorFormat } from '../../dialect.ts';
import { errorBodyOf } from '../../error-body.ts';
import { snakeCase } from '../../snake-case.ts';
import type { GenerateBody } from './schemas.ts';

/** Parameters whose field has another name. */
const ownNames: Readonly<Partial<Record<RequestParameter, keyof GenerateBody>>> = {
  prompts: 'prompt',
  numLogprobs: 'logprobs',
  reportPrompt: 'prompt_logprobs',
  numPromptLogprobs: 'prompt_logprobs',
};

function fieldOf(parameter: RequestParameter): string {
  return ownNames[parameter] ?? snakeCase(parameter);
}

export const weftErrors: ErrorFormat = (error) => ({
  status: error.status,
  body: errorBodyOf(error instanceof ParameterError ? error.named(fieldOf(error.fault.parameter)) : error),
});
