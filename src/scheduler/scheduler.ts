import {
  type FinishReason,
  QueueFullError,
  type RowOutput,
  type RowResult,
  type SampledToken,
  ServingError,
  type SlotMove,
  type Step,
  type StepLimits,
} from '../core/index.ts';
import { type AdmissionPolicy, gatherWhileRunning } from './admission.ts';
import type { Sequence } from './sequence.ts';
import { SlotTable } from './slot-table.ts';

export interface SchedulerOptions {
  readonly limits: StepLimits;
  readonly batchTimeoutMs: number;
  readonly maxQueueSize: number;
  readonly admission?: AdmissionPolicy;
}

/** The result of a step for a sequence: a token, or the error that ended it. `sequence.status` tells whether the token was the last one. */
export interface SequenceOutput {
  readonly sequence: Sequence;
  readonly result: SampledToken | ServingError;
}

/** A row of a step, on the scheduler's side. */
interface PlannedRow {
  readonly sequence: Sequence;
  readonly numFedTokens: number;
  /** The slot that the row is computed in. */
  readonly slot: number;
  /** The sequences that draw a token from the row: its own and, at the end of the prompt, the forks. */
  readonly drawing: readonly Sequence[];
}

/** A sequence that runs from the next step on, once the keys and values of its prompt have been copied. */
interface PendingFork {
  readonly sequence: Sequence;
  readonly from: number;
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
  /** Waiting sequences, with their forks. */
  #numWaiting = 0;
  readonly #slots: SlotTable;
  /** The rows of the step that was planned last. */
  #planned: readonly PlannedRow[] = [];
  /** Sequences whose prompt was in a failed step, until they get a token. */
  readonly #suspects = new Set<Sequence>();
  /** Their slots are reserved. */
  #pendingForks: PendingFork[] = [];
  /** The last step failed, and its decoding rows have not been retried without newcomers. */
  #isRetryDue = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#admission = options.admission ?? gatherWhileRunning;
    this.#slots = new SlotTable(options.limits.maxBatchSize);
    if (this.#promptBudget < 1) throw new RangeError('maxStepTokens must exceed maxBatchSize');
  }

  get numWaiting(): number {
    return this.#numWaiting;
  }

  get numRunning(): number {
    return this.#slots.sequences.length + this.#numReservedSlots;
  }

  get numFreeSlots(): number {
    return this.#slots.numFree - this.#numReservedSlots;
  }

  /** Slots of forks that have not begun to run. */
  get #numReservedSlots(): number {
    const ofPrompts = this.#slots.sequences.reduce((sum, { numSlots }) => sum + numSlots - 1, 0);
    return ofPrompts + this.#pendingForks.length;
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
   * @param numComing sequences that are about to join the queue
   * @throws {QueueFullError} the queue has no room for all of them
   */
  checkRoom(numComing: number): void {
    const { numWaiting, numFreeSlots } = this;
    const { maxQueueSize: limit } = this.#options;
    if (numWaiting + numComing > limit + numFreeSlots) throw new QueueFullError({ numWaiting, numComing, limit });
  }

  /** Adds sequences with their forks, all or none. @throws {QueueFullError} the queue has no room for all of them */
  add(...sequences: readonly Sequence[]): void {
    const numComing = sequences.reduce((sum, { numSlots }) => sum + numSlots, 0);
    this.checkRoom(numComing);
    this.#waiting.push(...sequences);
    this.#numWaiting += numComing;
  }

  /** Ends a sequence from outside: its client left, or a stop string appeared. The next `schedule` may reuse its slot. */
  finish(sequence: Sequence, reason: FinishReason): void {
    if (sequence.status === 'finished') return;
    if (sequence.status === 'waiting') this.#numWaiting--;
    const place = this.#waiting.indexOf(sequence);
    if (sequence.slot !== undefined) this.#slots.release(sequence);
    else if (place >= 0) this.#waiting.splice(place, 1);
    else this.#pendingForks = this.#pendingForks.filter((pending) => pending.sequence !== sequence);
    this.#suspects.delete(sequence);
    sequence.status = 'finished';
    sequence.finishReason = reason;
  }

  /** The next step, or undefined if there is nothing to do. Must not be called while a step runs. */
  schedule(nowMs: number): Step | undefined {
    const moves = [...this.#placeForks(), ...this.#slots.closeHoles()];
    const planned: PlannedRow[] = [];
    let promptBudget = this.#promptBudget;
    for (const sequence of this.#slots.sequences) {
      const numFedTokens = Math.min(sequence.numUncomputedTokens, this.#promptBudget);
      if (!sequence.isDecoding) promptBudget -= numFedTokens;
      planned.push(plannedRow(sequence, numFedTokens));
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
    for (const [index, planned] of this.#planned.entries()) {
      const result = results[index];
      if (result instanceof ServingError) outputs.push(...this.#failRow(planned, result));
      else if (result !== undefined) outputs.push(...this.#takeRow(planned, result, nowMs));
    }
    return outputs;
  }

  *#takeRow(
    { sequence, numFedTokens, slot, drawing }: PlannedRow,
    { tokens, scores = [] }: RowOutput,
    nowMs: number,
  ): Generator<SequenceOutput> {
    sequence.numComputedTokens += numFedTokens;
    sequence.promptLogprobs.push(...scores);
    for (const [i, drawn] of drawing.entries()) {
      const token = tokens[i];
      if (token === undefined) throw new Error(`a row drew ${tokens.length} tokens for ${drawing.length} sequences`);
      if (drawn.status === 'finished') continue;
      if (drawn !== sequence) this.#startFork(drawn, { of: sequence, from: slot });
      this.#append(token, drawn, nowMs);
      yield { sequence: drawn, result: token };
    }
  }

  *#failRow({ sequence, drawing }: PlannedRow, error: ServingError): Generator<SequenceOutput> {
    for (const failed of drawing.length > 0 ? drawing : [sequence, ...sequence.waitingForks]) {
      if (failed.status === 'finished') continue;
      this.finish(failed, 'error');
      yield { sequence: failed, result: error };
    }
  }

  /** The prompt is computed. The fork takes a slot of its own with the next step. */
  #startFork(fork: Sequence, { of: sequence, from }: { readonly of: Sequence; readonly from: number }): void {
    fork.numComputedTokens = sequence.promptTokenIds.length;
    fork.scheduledAtMs = sequence.scheduledAtMs;
    this.#pendingForks.push({ sequence: fork, from });
  }

  /**
   * Gives slots to forks. If the sequence that computed the prompt has ended already, one of its forks inherits the slot, so that nothing
   * overwrites it. The others get copies in the first free slots.
   */
  #placeForks(): SlotMove[] {
    const copied = this.#pendingForks.filter(({ sequence, from }) => {
      if (!this.#slots.isFree(from)) return true;
      this.#slots.occupy(from, sequence);
      return false;
    });
    this.#pendingForks = [];
    return copied.map(({ sequence, from }) => {
      const to = this.#slots.firstFree;
      this.#slots.occupy(to, sequence);
      return { from, to, numTokens: sequence.numComputedTokens };
    });
  }

  /** The planned step failed: some of its sequences get another chance. @returns the others, which are lost */
  fail(): Sequence[] {
    const running = this.#planned.map(({ sequence }) => sequence).filter(({ status }) => status !== 'finished');
    const newcomers = running.filter((sequence) => !sequence.isDecoding);
    const decoding = running.filter((sequence) => sequence.isDecoding);
    const isRetry = this.#isRetryDue && newcomers.length === 0;
    this.#isRetryDue = !isRetry && decoding.length > 0;
    const suspects = newcomers.filter((sequence) => this.#suspects.has(sequence));
    const lost = isRetry ? decoding : suspects.flatMap((sequence) => [sequence, ...sequence.waitingForks]);
    for (const sequence of lost) this.finish(sequence, 'error');
    for (const newcomer of newcomers.toReversed()) if (newcomer.status === 'running') this.#putBack(newcomer);
    return lost;
  }

  /** A newcomer of a failed step goes back to the front of the queue. */
  #putBack(sequence: Sequence): void {
    this.#slots.release(sequence);
    this.#numWaiting += sequence.numSlots;
    for (const each of [sequence, ...sequence.waitingForks]) each.status = 'waiting';
    sequence.numComputedTokens = 0;
    sequence.promptLogprobs.length = 0;
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
    for (let numSlots = this.#numAdmissible(nowMs); numSlots > 0; ) {
      const sequence = this.#waiting[0];
      if (sequence === undefined || sequence.numSlots > numSlots) return;
      numSlots -= sequence.numSlots;
      // Only a prompt that exceeds the budget of a whole step is cut. It starts with a whole budget, so its chunks are always the same.
      const numFedTokens = Math.min(sequence.promptTokenIds.length, this.#promptBudget);
      if (numFedTokens > promptBudget) return;
      promptBudget -= numFedTokens;
      this.#waiting.shift();
      this.#slots.occupy(this.#slots.tail, sequence);
      this.#numWaiting -= sequence.numSlots;
      for (const each of [sequence, ...sequence.waitingForks]) each.status = 'running';
      sequence.scheduledAtMs ??= nowMs;
      yield plannedRow(sequence, numFedTokens);
    }
  }

  /** Slots that waiting prompts may take at this token boundary. */
  #numAdmissible(nowMs: number): number {
    const oldest = this.#waiting[0];
    if (oldest === undefined) return 0;
    const { batchTimeoutMs, limits } = this.#options;
    const numSlotsBehind = limits.maxBatchSize - this.#slots.tail - this.#numReservedSlots;
    if (this.#suspects.size > 0) {
      // Suspects are at the front of the queue, and each is computed as the only newcomer.
      const isAnyRunning = this.#slots.sequences.some((sequence) => this.#suspects.has(sequence));
      return isAnyRunning || oldest.numSlots > numSlotsBehind ? 0 : oldest.numSlots;
    }
    const admissible = this.#waiting.slice(0, numSlotsBehind);
    return this.#admission({
      numWaiting: this.numWaiting,
      numWaitingTokens: admissible.reduce((sum, { promptTokenIds }) => sum + promptTokenIds.length, 0),
      numRunning: this.numRunning,
      numSlotsBehind,
      oldestWaitMs: nowMs - oldest.arrivedAtMs,
      batchTimeoutMs,
    });
  }

  #finishReasonAfter(tokenId: number, sequence: Sequence): FinishReason | undefined {
    if (sequence.isEndedBy(tokenId)) return 'stop';
    return sequence.outputTokenIds.length >= sequence.maxNewTokens ? 'length' : undefined;
  }
}

function plannedRow(sequence: Sequence, numFedTokens: number): PlannedRow {
  const { slot } = sequence;
  if (slot === undefined) throw new Error(`sequence ${sequence.id} runs without a slot`);
  const draws = numFedTokens === sequence.numUncomputedTokens;
  return { sequence, numFedTokens, slot, drawing: draws ? [sequence, ...sequence.waitingForks] : [] };
}
