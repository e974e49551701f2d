const months = 'January February March April May June July August September October November December'.split(' ');
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** What chat templates use of Python's `strftime`, in English. Unknown directives stay as they are. */
export function strftime(format: string, date: Date): string {
  return format.replace(/%([a-zA-Z%])/g, (directive, letter: string) => directives[letter]?.(date) ?? directive);
}

const directives: Readonly<Record<string, (date: Date) => string>> = {
  '%': () => '%',
  Y: (date) => `${date.getFullYear()}`,
  y: (date) => padded(date.getFullYear() % 100),
  m: (date) => padded(date.getMonth() + 1),
  B: (date) => months[date.getMonth()] ?? '',
  b: (date) => (months[date.getMonth()] ?? '').slice(0, 3),
  d: (date) => padded(date.getDate()),
  A: (date) => days[date.getDay()] ?? '',
  a: (date) => (days[date.getDay()] ?? '').slice(0, 3),
  H: (date) => padded(date.getHours()),
  I: (date) => padded(date.getHours() % 12 || 12),
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  M: (date) => padded(date.getMinutes()),
  S: (date) => padded(date.getSeconds()),
};

function padded(value: number): string {
  return `${value}`.padStart(2, '0');
}
