/** A size for people: three digits and a decimal unit. */
export function readableSize(bytes: number): string {
  const [unit, divisor] = units.find(([, atLeast]) => bytes >= atLeast) ?? ['B', 1];
  return `${Number((bytes / divisor).toPrecision(3)).toLocaleString('en')} ${unit}`;
}

const units = [
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
] as const;

/** A count for people, in millions. */
export function millions(count: number): string {
  return `${(count / 1e6).toFixed(1)} million`;
}
