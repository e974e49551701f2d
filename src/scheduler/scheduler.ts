import {
  type FinishReason,
  QueueFullError,
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

/** A token that a step gave a sequence. Whether it was the last one stands in `sequence.status`. */
export interface SequenceOutput {
  readonly sequence: Sequence;
  readonly tokenId: number;
}

/**
 * Decides what the engine runs next: a pure, synchronous state machine.
 * `schedule` plans a step, the engine runs it, `update` takes what it gave (or `fail` that it failed); then the next one.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #admission: AdmissionPolicy;
  readonly #waiting: Sequence[] = [];
  readonly #slots: SlotTable;

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
    for (const { sequence, numNewTokens } of this.#admit(promptBudget, nowMs)) rows.push(rowOf(sequence, numNewTokens));
    return rows.length > 0 ? { moves, rows } : undefined;
  }

  /** Takes over what a step gave. Rows whose sequence ended while the step ran are skipped. */
  update(step: Step, tokens: readonly (SampledToken | undefined)[], nowMs: number): SequenceOutput[] {
    const outputs: SequenceOutput[] = [];
    for (const [index, { sequence, numNewTokens }] of step.rows.entries()) {
      if (sequence.status === 'finished') continue;
      sequence.numComputedTokens += numNewTokens;
      const token = tokens[index];
      if (token === undefined) continue;
      sequence.outputTokenIds.push(token.tokenId);
      sequence.firstTokenAtMs ??= nowMs;
      sequence.lastTokenAtMs = nowMs;
      const reason = this.#finishReasonAfter(token.tokenId, sequence);
      if (reason !== undefined) this.finish(sequence, reason);
      outputs.push({ sequence, tokenId: token.tokenId });
    }
    return outputs;
  }

  /** The step failed: its sequences are lost. @returns those that were still running */
  fail(step: Step): Sequence[] {
    const lost = step.rows.map((row) => row.sequence).filter((sequence) => sequence.status !== 'finished');
    for (const sequence of lost) this.finish(sequence, 'error');
    return lost;
  }

  /** Lets waiting prompts join, first come first served, as the policy, the free slots and the token budget allow. */
  *#admit(promptBudget: number, nowMs: number): Generator<{ sequence: Sequence; numNewTokens: number }> {
    const oldest = this.#waiting[0];
    if (oldest === undefined) return;
    const { batchTimeoutMs, limits } = this.#options;
    const numSlotsBehind = limits.maxBatchSize - this.#slots.tail;
    const admissible = this.#waiting.slice(0, numSlotsBehind);
    let numAdmissible = this.#admission({
      numWaiting: this.#waiting.length,
      numWaitingTokens: admissible.reduce((sum, { promptTokenIds }) => sum + promptTokenIds.length, 0),
      numRunning: this.numRunning,
      numSlotsBehind,
      oldestWaitMs: nowMs - oldest.arrivedAtMs,
      batchTimeoutMs,
    });
    for (; numAdmissible > 0; numAdmissible--) {
      const sequence = this.#waiting[0];
      if (sequence === undefined) return;
      // Only a prompt that no step can hold whole is cut, and it starts with a budget of its own: its chunks are always the same.
      const numNewTokens = Math.min(sequence.promptTokenIds.length, this.#promptBudget);
      if (numNewTokens > promptBudget) return;
      promptBudget -= numNewTokens;
      this.#waiting.shift();
      this.#slots.occupy(this.#slots.tail, sequence);
      sequence.status = 'running';
      sequence.scheduledAtMs = nowMs;
      yield { sequence, numNewTokens };
    }
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
