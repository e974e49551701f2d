import {
  EngineError,
  type FinishReason,
  QueueFullError,
  type RowResult,
  type SampledToken,
  type Step,
  type StepLimits,
} from '../core/index.ts';
import { type AdmissionPolicy, gatherWhileRunning } from './admission.ts';
import type { Sequence } from './sequence.ts';
import { SlotTable } from './slot-table.ts';

export interface SchedulerOptions {
  readonly limits: StepLimits;
  readonly eosTokenIds: ReadonlySet<number>;
  readonly batchTimeoutMs: number;
  readonly maxQueueSize: number;
  readonly admission?: AdmissionPolicy;
}

/** The result of a step for a sequence: a token, or the error that ended it. `sequence.status` tells whether the token was the last one. */
export interface SequenceOutput {
  readonly sequence: Sequence;
  readonly result: SampledToken | EngineError;
}

/** A row of a step, on the scheduler's side. */
interface PlannedRow {
  readonly sequence: Sequence;
  readonly numFedTokens: number;
}

/**
 * Decides what the engine runs next: a pure, synchronous state machine.
 * `schedule` plans a step, the engine runs it, and `update` takes its results or `fail` records its failure. Then comes the next step.
 *
 * A failed step is retried once without its newcomers, since one of their prompts may have caused the failure. Each of them is then
 * tried once more, as the only newcomer of its step. See docs/decisions/0013.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #admission: AdmissionPolicy;
  readonly #waiting: Sequence[] = [];
  readonly #slots: SlotTable;
  /** The rows of the step that was planned last. */
  #planned: readonly PlannedRow[] = [];
  /** Sequences whose prompt was in a failed step, until they get a token. */
  readonly #suspects = new Set<Sequence>();
  /** The last step failed, and its decoding rows have not been retried without newcomers. */
  #isRetryDue = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#admission = options.admission ?? gatherWhileRunning;
    this.#slots = new SlotTable(options.limits.maxBatchSize);
    if (this.#promptBudget < 1) throw new RangeError('maxStepTokens must exceed maxBatchSize');
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
   * Prompt tokens of one step. The rest is reserved for decoding rows, used or not, so that a prompt is always cut into the same
   * chunks and gets the same numbers, however many other sequences run.
   */
  get #promptBudget(): number {
    const { maxStepTokens, maxBatchSize } = this.#options.limits;
    return maxStepTokens - maxBatchSize;
  }

  /**
   * @param numComing requests that are about to join the queue
   * @throws {QueueFullError} with them, the queue is at its limit
   */
  checkRoom(numComing = 0): void {
    const { maxQueueSize } = this.#options;
    if (this.#waiting.length + numComing >= maxQueueSize + this.numFreeSlots) throw new QueueFullError(maxQueueSize);
  }

  /** @throws {QueueFullError} the queue is at its limit */
  add(sequence: Sequence): void {
    this.checkRoom();
    this.#waiting.push(sequence);
  }

  /** Ends a sequence from outside: its client left, or a stop string appeared. The next `schedule` may reuse its slot. */
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
    const planned: PlannedRow[] = [];
    let promptBudget = this.#promptBudget;
    for (const sequence of this.#slots.sequences) {
      const numFedTokens = Math.min(sequence.numUncomputedTokens, this.#promptBudget);
      if (!sequence.isDecoding) promptBudget -= numFedTokens;
      planned.push({ sequence, numFedTokens });
    }
    if (!this.#isRetryDue || planned.length === 0) planned.push(...this.#admit(promptBudget, nowMs));
    this.#planned = planned;
    if (planned.length === 0) return undefined;
    return { moves, rows: planned.map(({ sequence, numFedTokens }) => sequence.rowOf(numFedTokens)) };
  }

  /** Takes the results of the planned step. Rows whose sequence ended while the step ran are skipped. */
  update(results: readonly RowResult[], nowMs: number): SequenceOutput[] {
    if (results.length !== this.#planned.length) {
      throw new Error(`a step of ${this.#planned.length} rows has ${results.length} results`);
    }
    this.#isRetryDue = false;
    const outputs: SequenceOutput[] = [];
    for (const [index, { sequence, numFedTokens }] of this.#planned.entries()) {
      if (sequence.status === 'finished') continue;
      sequence.numComputedTokens += numFedTokens;
      const result = results[index];
      if (result === undefined) continue;
      if (result instanceof EngineError) this.finish(sequence, 'error');
      else this.#append(result, sequence, nowMs);
      outputs.push({ sequence, result });
    }
    return outputs;
  }

  /** The planned step failed: some of its sequences get another chance. @returns the others, which are lost */
  fail(): Sequence[] {
    const running = this.#planned.map(({ sequence }) => sequence).filter(({ status }) => status !== 'finished');
    const newcomers = running.filter((sequence) => !sequence.isDecoding);
    const decoding = running.filter((sequence) => sequence.isDecoding);
    const isRetry = this.#isRetryDue && newcomers.length === 0;
    this.#isRetryDue = !isRetry && decoding.length > 0;
    const lost = isRetry ? decoding : newcomers.filter((sequence) => this.#suspects.has(sequence));
    for (const sequence of lost) this.finish(sequence, 'error');
    for (const newcomer of newcomers.toReversed()) if (newcomer.status === 'running') this.#putBack(newcomer);
    return lost;
  }

  /** A newcomer of a failed step goes back to the front of the queue. */
  #putBack(sequence: Sequence): void {
    this.#slots.release(sequence);
    sequence.status = 'waiting';
    sequence.numComputedTokens = 0;
    this.#waiting.unshift(sequence);
    this.#suspects.add(sequence);
  }

  #append({ id }: SampledToken, sequence: Sequence, nowMs: number): void {
    this.#suspects.delete(sequence);
    sequence.outputTokenIds.push(id);
    sequence.firstTokenAtMs ??= nowMs;
    sequence.lastTokenAtMs = nowMs;
    const reason = this.#finishReasonAfter(id, sequence);
    if (reason !== undefined) this.finish(sequence, reason);
  }

  /** Lets waiting prompts join in order of arrival, as the policy, the free slots and the token budget allow. */
  *#admit(promptBudget: number, nowMs: number): Generator<PlannedRow> {
    for (let numAdmissible = this.#numAdmissible(nowMs); numAdmissible > 0; numAdmissible--) {
      const sequence = this.#waiting[0];
      if (sequence === undefined) return;
      // Only a prompt that exceeds the budget of a whole step is cut. It starts with a whole budget, so its chunks are always the same.
      const numFedTokens = Math.min(sequence.promptTokenIds.length, this.#promptBudget);
      if (numFedTokens > promptBudget) return;
      promptBudget -= numFedTokens;
      this.#waiting.shift();
      this.#slots.occupy(this.#slots.tail, sequence);
      sequence.status = 'running';
      sequence.scheduledAtMs ??= nowMs;
      yield { sequence, numFedTokens };
    }
  }

  #numAdmissible(nowMs: number): number {
    const oldest = this.#waiting[0];
    if (oldest === undefined) return 0;
    const { batchTimeoutMs, limits } = this.#options;
    const numSlotsBehind = limits.maxBatchSize - this.#slots.tail;
    if (this.#suspects.size > 0) {
      // Suspects are at the front of the queue, and each is computed as the only newcomer.
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
    if (!sequence.ignoreEos && this.#options.eosTokenIds.has(tokenId)) return 'stop';
    return sequence.outputTokenIds.length >= sequence.maxNewTokens ? 'length' : undefined;
  }
}
