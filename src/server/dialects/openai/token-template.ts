/** Writes a chunk of one token, given the index of its choice and its text. */
export type TokenTemplate = (index: number, text: string) => string;

/**
 * Serializes what the chunks of all tokens have in common only once: writing them is most of what a stream costs.
 * @param chunk of a choice with index 0 and an empty text, which are to be filled in
 */
export function tokenTemplate(chunk: object): TokenTemplate {
  const json = JSON.stringify(chunk);
  // Names that clients choose cannot look like this: their quotes are escaped.
  const index = json.indexOf('"index":0');
  const text = json.indexOf('""', index);
  const head = json.slice(0, index + '"index":'.length);
  const middle = json.slice(index + '"index":0'.length, text);
  const tail = json.slice(text + '""'.length);
  return (choice, content) => `${head}${choice}${middle}${JSON.stringify(content)}${tail}`;
}
