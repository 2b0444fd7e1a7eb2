/** Tasks: what an answer with a UPID only announces. */
import type { Clock, Random } from "../../../src/core/clock.ts";
import { ApiError, failure, parameterError } from "../wire/errors.ts";
import type { Locks, LockWish } from "./locks.ts";
import type { Timings } from "./timings.ts";

/** A task, running or over. */
export interface Task {
  readonly upid: string;
  readonly node: string;
  readonly pid: number;
  readonly pstart: number;
  readonly startMs: number;
  /** `qmclone`, `qmstart` … */
  readonly type: string;
  /** What it is filed under: mostly a VMID, for a clone that of the source. */
  readonly id: string;
  /** The user or `user!token` who began it. */
  readonly user: string;
  readonly log: string[];
  endMs: number | undefined;
  /** `OK`, `WARNINGS: n` or what went wrong; undefined while it runs. */
  exitStatus: string | undefined;
}

/** What a planned fault does to a task: see `Faults`. */
export interface TaskFault {
  /** `midway`: at its second step, after which it cleans up as after any failure; `late`: all is done, and it still fails. */
  when: "midway" | "late";
  message: string;
}

/** What a task may do; given to its work. */
export interface TaskRun {
  readonly upid: string;
  /** Adds a line to its log. */
  print(line: string): void;
  /** Adds a warning, which the exit status will count. */
  warn(line: string): void;
  /** Lets time pass. Throws when somebody stops the task. */
  pause(ms: number): Promise<void>;
  /** Waits for a lock, says so in the log, and releases it when `work` is done or failed. */
  locked<T>(path: string, wish: LockWish, work: () => Promise<T>): Promise<T>;
}

/** What stopping a task throws inside it. */
const INTERRUPTED = "interrupted by signal";

interface Surroundings {
  clock: Clock;
  random: Random;
  locks: Locks;
  timings: Timings;
  /** Called whenever time has passed. */
  onTime: () => void;
  /** The fault planned for a task that begins, if any. */
  faultOf: (task: Task) => TaskFault | undefined;
}

/** All tasks of a cluster. */
export class Tasks {
  readonly #surroundings: Surroundings;
  readonly #tasks: Task[] = [];
  readonly #stops = new Map<Task, AbortController>();
  readonly #ends: Promise<void>[] = [];
  readonly #defects: unknown[] = [];

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Errors of the double itself inside tasks; there should be none. */
  get defects(): readonly unknown[] {
    return this.#defects;
  }

  /** Every task, the newest first. */
  all(): Task[] {
    return this.#tasks.toReversed();
  }

  /** The task of a UPID, or undefined. Throws the server's 400 when it is none. */
  find(upid: string): Task | undefined {
    if (!/^UPID:[^:]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:\s]+:[^:\s]*:[^:\s]+:$/.test(upid)) {
      throw parameterError({ upid: "unable to parse worker upid" });
    }
    return this.#tasks.find((task) => task.upid === upid);
  }

  /** Begins a task and returns its UPID; its work begins after the time that a fork takes. */
  start(node: string, type: string, id: string, user: string, work: (run: TaskRun) => Promise<void>): string {
    const { clock, random } = this.#surroundings;
    const [pid, pstart] = [1_000 + Math.floor(random.next() * 4e6), Math.floor(random.next() * 2 ** 32)];
    const startMs = clock.now();
    const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");
    const upid = `UPID:${node}:${hex(pid)}:${hex(pstart)}:${
      hex(Math.floor(startMs / 1000))
    }:${type}:${id}:${user}:`;
    const task: Task = {
      upid,
      node,
      pid,
      pstart,
      startMs,
      type,
      id,
      user,
      log: [],
      endMs: undefined,
      exitStatus: undefined,
    };
    this.#tasks.push(task);
    const stop = new AbortController();
    this.#stops.set(task, stop);
    this.#ends.push(this.#run(task, stop.signal, work));
    return upid;
  }

  /** Asks a task to stop; one that is over stays as it is. */
  stop(task: Task): void {
    this.#stops.get(task)?.abort();
  }

  /** Stops all tasks and waits until they have cleaned up. */
  async stopAll(): Promise<void> {
    for (const stop of this.#stops.values()) stop.abort();
    await Promise.all(this.#ends);
  }

  async #run(task: Task, stopped: AbortSignal, work: (run: TaskRun) => Promise<void>): Promise<void> {
    const { clock, timings, faultOf, onTime } = this.#surroundings;
    const fault = faultOf(task);
    let warnings = 0;
    const run = this.#runOf(task, stopped, fault, () => warnings++);
    try {
      await run.pause(timings.forkMs);
      await work(run);
      if (fault?.when === "late") throw failure(fault.message);
      task.exitStatus = warnings > 0 ? `WARNINGS: ${warnings}` : "OK";
      task.log.push(`TASK ${task.exitStatus}`);
    } catch (error) {
      if (!(error instanceof ApiError)) this.#defects.push(error);
      task.exitStatus = exitStatusOf(error);
      task.log.push(`TASK ERROR: ${task.exitStatus}`);
    }
    onTime();
    task.endMs = clock.now();
    this.#stops.delete(task);
  }

  #runOf(task: Task, stopped: AbortSignal, fault: TaskFault | undefined, countWarning: () => void): TaskRun {
    const { clock, locks, onTime } = this.#surroundings;
    let pauses = 0;
    const run: TaskRun = {
      upid: task.upid,
      print: (line) => void task.log.push(line),
      warn: (line) => {
        countWarning();
        task.log.push(`WARN: ${line}`);
      },
      pause: async (ms) => {
        if (fault?.when === "midway" && ++pauses === 3) throw failure(fault.message);
        if (ms > 0) await clock.sleep(ms, stopped);
        onTime();
        if (stopped.aborted) throw failure(INTERRUPTED);
      },
      locked: async (path, wish, work) => {
        let hasWaited = false;
        const onWait = (): void => {
          hasWaited = true;
          task.log.push("trying to acquire lock...");
        };
        const release = await locks.acquire(path, { ...wish, onWait });
        onTime();
        if (hasWaited) task.log.push(" OK");
        try {
          return await work();
        } finally {
          release();
        }
      },
    };
    return run;
  }
}

function exitStatusOf(error: unknown): string {
  if (!(error instanceof ApiError)) return `the double failed: ${error}`;
  if (error.errors === undefined) return error.message;
  const lines = Object.entries(error.errors).map(([name, complaint]) => `${name}: ${complaint.trim()}`);
  return [error.message, ...lines].join(" ");
}
