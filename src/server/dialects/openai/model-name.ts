import { type ServedModel, ServingError } from '../../../core/index.ts';

/** Names that every model answers to: clients of TGI send one of these, whatever the model. */
const aliases: readonly string[] = ['tgi', 'dummy'];

const maxShown = 200;

/** A client of an endpoint that is told no model, such as `@huggingface/inference`, sends the URL of the endpoint. */
const isUrl = (name: string) => /^https?:\/\//.test(name);

/** @throws {ServingError} the server has no model of that name */
export function checkModelName(name: string | undefined, model: ServedModel): void {
  if (name === undefined || model.names.includes(name) || aliases.includes(name) || isUrl(name)) return;
  const known = model.names.map((each) => `\`${each}\``).join(', ');
  const shown = name.length > maxShown ? `${name.slice(0, maxShown).toWellFormed()}…` : name;
  const message = `The model \`${shown}\` does not exist; this server has ${known}`;
  throw new ServingError('model_not_found', message, { param: 'model' });
}
