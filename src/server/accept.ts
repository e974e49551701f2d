/** Whether an `Accept` header names server-sent events. */
export function acceptsEventStream(accept = ''): boolean {
  const ranges = accept
    .toLowerCase()
    .split(',')
    .map((range) => range.split(';').map((part) => part.trim()));
  return ranges.some(
    ([type, ...rest]) => type === 'text/event-stream' && !rest.some((part) => /^q=0(\.0*)?$/.test(part)),
  );
}
