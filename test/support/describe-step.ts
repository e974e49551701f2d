import type { Step, StepRow } from '../../src/core/index.ts';

/** A step in words: `move 3>1; decode a b + prefill c[8] d`, with a prompt's chunk in brackets where it is not the whole. */
export function describeStep({ moves, rows }: Step): string {
  const decoding = rows.filter(({ sequence }) => sequence.isDecoding).map(({ sequence }) => sequence.id);
  const prefilled = rows.filter(({ sequence }) => !sequence.isDecoding).map(prefillOf);
  const parts = [
    ...(decoding.length > 0 ? [`decode ${decoding.join(' ')}`] : []),
    ...(prefilled.length > 0 ? [`prefill ${prefilled.join(' ')}`] : []),
  ];
  const moved = moves.map(({ from, to }) => `move ${from}>${to}; `);
  return moved.join('') + parts.join(' + ');
}

function prefillOf({ sequence, numNewTokens }: StepRow): string {
  const isWhole = numNewTokens === sequence.promptTokenIds.length;
  return isWhole ? sequence.id : `${sequence.id}[${numNewTokens}]`;
}
