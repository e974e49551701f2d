import { Presets, SingleBar } from 'cli-progress';
import { readableSize } from '../core/index.ts';
import type { PullOptions, PullProgress } from '../store/index.ts';

/** Shorter operations show nothing. */
const quietMs = 1000;

/** Without a terminal, operations that take longer than this print one line. */
const silentMs = 10_000;

/** Shows the progress of an operation, once it has taken a while. */
export function progressOf(label: string): (done: number, total: number) => void {
  const startedAt = performance.now();
  let bar: SingleBar | undefined;
  let isAnnounced = false;
  return (done, total) => {
    const tookMs = performance.now() - startedAt;
    if (!process.stderr.isTTY) {
      if (isAnnounced || done === total || tookMs < silentMs) return;
      isAnnounced = true;
      process.stderr.write(`${label}: ${Math.floor((100 * done) / total)} % after ${Math.round(tookMs / 1000)} s\n`);
      return;
    }
    if (bar === undefined && tookMs < quietMs) return;
    bar ??= startedBar(`${label} [{bar}] {percentage} %, {eta_formatted} left`, total);
    bar.update(done);
    if (done === total) bar.stop();
  };
}

/** Shows a progress bar for each downloaded file or, without a terminal, a line. */
export function progressOfPull(): Pick<PullOptions, 'onProgress' | 'onWait'> {
  let current = '';
  let bar: SingleBar | undefined;
  const onWait = (file: string) => {
    bar?.stop();
    process.stderr.write(`another process is downloading ${file}; waiting for it\n`);
  };
  const onProgress = ({ file, bytes, totalBytes }: PullProgress) => {
    if (file !== current) {
      bar?.stop();
      current = file;
      const label = `${file}, ${readableSize(totalBytes)}`;
      if (process.stderr.isTTY)
        bar = startedBar(`${label.padEnd(40)} [{bar}] {percentage} %, {eta_formatted} left`, totalBytes);
      else process.stderr.write(`${label}\n`);
    }
    bar?.update(bytes);
    if (bytes === totalBytes) bar?.stop();
  };
  return { onProgress, onWait };
}

function startedBar(format: string, total: number): SingleBar {
  const bar = new SingleBar({ format, stream: process.stderr, gracefulExit: false, etaBuffer: 50 }, Presets.legacy);
  bar.start(total, 0);
  return bar;
}
