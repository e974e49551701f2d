import { type ServedModel, ServingError, show } from '../../../core/index.ts';

/** @throws {ServingError} the server has no model of that name */
export function checkModelName(name: string | undefined, model: ServedModel): void {
  if (name === undefined || model.names.includes(name)) return;
  const known = model.names.map((each) => `\`${each}\``).join(', ');
  const message = `The model \`${show(name, 200).slice(1, -1)}\` does not exist; this server has ${known}`;
  throw new ServingError('model_not_found', message, { param: 'model' });
}
