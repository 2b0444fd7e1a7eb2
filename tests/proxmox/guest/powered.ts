/** A running VM: its QEMU process, the guest in it, and what the guest agent was asked to run. */
import type { ExecOutcome, Guest, Machine } from "./guest.ts";

/** Commands that one power-on may run; more are a loop. */
const PROCESSES_MAX = 10_000;

/** Exists from power on to power off. */
export class PoweredGuest {
  readonly startedMs: number;
  /** Of the QEMU process. */
  readonly pid: number;
  readonly guest: Guest;
  isPaused = false;
  readonly #processes: Array<{ outcome: ExecOutcome | undefined }> = [];

  constructor(guest: Guest, machine: Machine, startedMs: number, pid: number) {
    this.guest = guest;
    this.startedMs = startedMs;
    this.pid = pid;
    guest.boot(machine);
  }

  /** Notes a command and returns the pid that it has inside the guest. */
  begin(running: Promise<ExecOutcome>): number {
    if (this.#processes.length >= PROCESSES_MAX) throw new Error(`A guest ran ${PROCESSES_MAX} commands`);
    const process: { outcome: ExecOutcome | undefined } = { outcome: undefined };
    this.#processes.push(process);
    const end = (outcome: ExecOutcome): void => void (process.outcome = outcome);
    running.then(end, (error) => end({ exitCode: 255, stderr: `${error}\n` }));
    return FIRST_PID + this.#processes.length;
  }

  /** A command: without an outcome while it runs; undefined when there is none with this pid. */
  process(pid: number): { outcome: ExecOutcome | undefined } | undefined {
    return this.#processes[pid - FIRST_PID - 1];
  }
}

const FIRST_PID = 1_000;
