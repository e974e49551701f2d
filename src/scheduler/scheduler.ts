import {
  EngineError,
  type FinishReason,
  QueueFullError,
  type RowResult,
  type SampledToken,
  type Sequence,
  type Step,
  type StepLimits,
  type StepRow,
} from '../core/index.ts';
import { type AdmissionPolicy, gatherWhileRunning } from './admission.ts';
import { SlotTable } from './slot-table.ts';

export interface SchedulerOptions {
  readonly limits: StepLimits;
  readonly eosTokenIds: ReadonlySet<number>;
  readonly batchTimeoutMs: number;
  readonly maxQueueSize: number;
  readonly admission?: AdmissionPolicy;
}

/** What a step gave a sequence: a token, or the error that ended it. `sequence.status` tells whether the token was the last one. */
export interface SequenceOutput {
  readonly sequence: Sequence;
  readonly result: SampledToken | EngineError;
}

/**
 * Decides what the engine runs next: a pure, synchronous state machine.
 * `schedule` plans a step, the engine runs it, `update` takes its results (or `fail` that it failed); then the next one.
 *
 * A failed step is retried once without its newcomers, since one of their prompts may be to blame. Each of them is then tried once more,
 * as the only newcomer of its step. See docs/decisions/0013.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #admission: AdmissionPolicy;
  readonly #waiting: Sequence[] = [];
  readonly #slots: SlotTable;
  /** Sequences whose prompt was in a step that failed, until they get a token. */
  readonly #suspects = new Set<Sequence>();
  /** The last step failed, and its decoding rows have not been tried without newcomers yet. */
  #isRetryDue = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#admission = options.admission ?? gatherWhileRunning;
    this.#slots = new SlotTable(options.limits.maxBatchSize);
    if (this.#promptBudget < 1) throw new RangeError('maxStepTokens has to exceed maxBatchSize');
  }

  get numWaiting(): number {
    return this.#waiting.length;
  }

  get numRunning(): number {
    return this.#slots.sequences.length;
  }

  get numFreeSlots(): number {
    return this.#slots.numFree;
  }

  /**
   * Prompt tokens of one step. The rest is kept for decoding rows, taken or not: so a prompt is cut into the same chunks,
   * and gets the same numbers, however many others run.
   */
  get #promptBudget(): number {
    const { maxStepTokens, maxBatchSize } = this.#options.limits;
    return maxStepTokens - maxBatchSize;
  }

  /**
   * @param numComing requests that will wait soon
   * @throws {QueueFullError} with them, as many as allowed wait for a slot already
   */
  checkRoom(numComing = 0): void {
    const { maxQueueSize } = this.#options;
    if (this.#waiting.length + numComing >= maxQueueSize + this.numFreeSlots) throw new QueueFullError(maxQueueSize);
  }

  /** @throws {QueueFullError} as many as allowed are waiting already */
  add(sequence: Sequence): void {
    this.checkRoom();
    this.#waiting.push(sequence);
  }

  /** Ends a sequence from outside: its client left, or a stop string came. Its slot is free at once for the next `schedule`. */
  finish(sequence: Sequence, reason: FinishReason): void {
    if (sequence.status === 'finished') return;
    const place = this.#waiting.indexOf(sequence);
    if (sequence.status === 'running') this.#slots.release(sequence);
    else if (place >= 0) this.#waiting.splice(place, 1);
    this.#suspects.delete(sequence);
    sequence.status = 'finished';
    sequence.finishReason = reason;
  }

  /** The next step, or undefined if there is nothing to do. Must not be called while a step runs. */
  schedule(nowMs: number): Step | undefined {
    const moves = this.#slots.closeHoles();
    const rows: StepRow[] = [];
    let promptBudget = this.#promptBudget;
    for (const sequence of this.#slots.sequences) {
      const numNewTokens = Math.min(sequence.numUncomputedTokens, this.#promptBudget);
      if (!sequence.isDecoding) promptBudget -= numNewTokens;
      rows.push(rowOf(sequence, numNewTokens));
    }
    if (!this.#isRetryDue || rows.length === 0) {
      for (const { sequence, numNewTokens } of this.#admit(promptBudget, nowMs))
        rows.push(rowOf(sequence, numNewTokens));
    }
    return rows.length > 0 ? { moves, rows } : undefined;
  }

  /** Takes over the results of a step. Rows whose sequence ended while the step ran are skipped. */
  update(step: Step, results: readonly RowResult[], nowMs: number): SequenceOutput[] {
    this.#isRetryDue = false;
    const outputs: SequenceOutput[] = [];
    for (const [index, { sequence, numNewTokens }] of step.rows.entries()) {
      if (sequence.status === 'finished') continue;
      sequence.numComputedTokens += numNewTokens;
      const result = results[index];
      if (result === undefined) continue;
      if (result instanceof EngineError) this.finish(sequence, 'error');
      else this.#append(result, sequence, nowMs);
      outputs.push({ sequence, result });
    }
    return outputs;
  }

  /** The step failed: some of its sequences get another chance. @returns the others, which are lost */
  fail(step: Step): Sequence[] {
    const running = step.rows.map((row) => row.sequence).filter((sequence) => sequence.status !== 'finished');
    const newcomers = running.filter((sequence) => !sequence.isDecoding);
    const decoding = running.filter((sequence) => sequence.isDecoding);
    const isRetry = this.#isRetryDue && newcomers.length === 0;
    this.#isRetryDue = !isRetry && decoding.length > 0;
    const lost = isRetry ? decoding : newcomers.filter((sequence) => this.#suspects.has(sequence));
    for (const sequence of lost) this.finish(sequence, 'error');
    for (const newcomer of newcomers.toReversed()) if (newcomer.status === 'running') this.#putBack(newcomer);
    return lost;
  }

  /** A newcomer of a failed step waits again, in front of all others. */
  #putBack(sequence: Sequence): void {
    this.#slots.release(sequence);
    sequence.status = 'waiting';
    sequence.numComputedTokens = 0;
    this.#waiting.unshift(sequence);
    this.#suspects.add(sequence);
  }

  #append({ tokenId }: SampledToken, sequence: Sequence, nowMs: number): void {
    this.#suspects.delete(sequence);
    sequence.outputTokenIds.push(tokenId);
    sequence.firstTokenAtMs ??= nowMs;
    sequence.lastTokenAtMs = nowMs;
    const reason = this.#finishReasonAfter(tokenId, sequence);
    if (reason !== undefined) this.finish(sequence, reason);
  }

  /** Lets waiting prompts join, first come first served, as the policy, the free slots and the token budget allow. */
  *#admit(promptBudget: number, nowMs: number): Generator<{ sequence: Sequence; numNewTokens: number }> {
    for (let numAdmissible = this.#numAdmissible(nowMs); numAdmissible > 0; numAdmissible--) {
      const sequence = this.#waiting[0];
      if (sequence === undefined) return;
      // Only a prompt that no step can hold whole is cut, and it starts with a budget of its own: its chunks are always the same.
      const numNewTokens = Math.min(sequence.promptTokenIds.length, this.#promptBudget);
      if (numNewTokens > promptBudget) return;
      promptBudget -= numNewTokens;
      this.#waiting.shift();
      this.#slots.occupy(this.#slots.tail, sequence);
      sequence.status = 'running';
      sequence.scheduledAtMs ??= nowMs;
      yield { sequence, numNewTokens };
    }
  }

  #numAdmissible(nowMs: number): number {
    const oldest = this.#waiting[0];
    if (oldest === undefined) return 0;
    const { batchTimeoutMs, limits } = this.#options;
    const numSlotsBehind = limits.maxBatchSize - this.#slots.tail;
    if (this.#suspects.size > 0) {
      // They wait in front of all others, and each is computed as the only newcomer.
      const isAnyRunning = this.#slots.sequences.some((sequence) => this.#suspects.has(sequence));
      return isAnyRunning ? 0 : Math.min(1, numSlotsBehind);
    }
    const admissible = this.#waiting.slice(0, numSlotsBehind);
    return this.#admission({
      numWaiting: this.#waiting.length,
      numWaitingTokens: admissible.reduce((sum, { promptTokenIds }) => sum + promptTokenIds.length, 0),
      numRunning: this.numRunning,
      numSlotsBehind,
      oldestWaitMs: nowMs - oldest.arrivedAtMs,
      batchTimeoutMs,
    });
  }

  #finishReasonAfter(tokenId: number, sequence: Sequence): FinishReason | undefined {
    if (!sequence.sampling.ignoreEos && this.#options.eosTokenIds.has(tokenId)) return 'stop';
    return sequence.outputTokenIds.length >= sequence.maxNewTokens ? 'length' : undefined;
  }
}

function rowOf(sequence: Sequence, numNewTokens: number): StepRow {
  if (sequence.slot === undefined) throw new Error(`sequence ${sequence.id} runs without a slot`);
  return { sequence, slot: sequence.slot, numNewTokens };
}
