/** Builds shorter than this pass without a word. */
const quietMs = 1000;

/** Shows on a terminal how far a build has come, once it has taken a while. */
export function progressLine(label: string, terminal: NodeJS.WriteStream): (done: number, total: number) => void {
  const startedAt = performance.now();
  let isShown = false;
  return (done, total) => {
    if (!terminal.isTTY || (!isShown && performance.now() - startedAt < quietMs)) return;
    isShown = true;
    const percent = String(Math.round((100 * done) / total)).padStart(3);
    terminal.write(`\r${label} ${percent} %${done === total ? '\n' : ''}`);
  };
}
