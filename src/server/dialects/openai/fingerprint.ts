import Type from 'typebox';

export const fingerprint = Type.String({
  description: 'changes with what may change seeded answers: the version of the server',
});

/** Of replies. TGI's Python client refuses replies without it. */
export function fingerprintOf(version: string): string {
  return `weft-${version}`;
}
