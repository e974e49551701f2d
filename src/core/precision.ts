/** The precisions that a model can run in: what its linear layers and its head compute in. See docs/precision.md. */
export const precisions = ['fp32', 'fp16', 'int8', 'int8-fast'] as const;
export type Precision = (typeof precisions)[number];
