/** What passes between the command and its workers: one line of JSON for each run, either way. */
import { FAULT_KINDS, type FaultKind } from "./faults.ts";
import { nameOf, type RunResult, type RunSpec } from "./run.ts";

/** A run as text. */
export interface WireSpec {
  seed: string;
  faults: FaultKind[];
  without: string[];
}

/** What the command needs of a run. */
export interface WireResult {
  seed: string;
  /** The run came to its end; false: its process died or hung, and what it shows is about the process alone. */
  completed: boolean;
  failures: string[];
  struck: Record<string, number>;
  transitions: Record<string, number>;
  permits: number;
  messages: number;
  dataMs: number;
  excusedMs: number;
  simulatedMs: number;
}

/** A spec as it is played. Throws an Error for a kind that does not exist. */
export function fromWire({ seed, faults, without }: WireSpec): RunSpec {
  for (const kind of faults) {
    if (!FAULT_KINDS.includes(kind)) {
      throw new Error(`There is no fault "${kind}"; expected ${FAULT_KINDS.join(", ")}`);
    }
  }
  return { seed, faults: new Set(faults), without: new Set(without) };
}

/** A result as it travels. */
export function resultToWire(seed: string, result: RunResult): WireResult {
  const { failures, struck, transitions, history, dataMs, excusedMs, simulatedMs } = result;
  const permits = new Set(history.map(({ permitId }) => permitId)).size;
  const times = { dataMs, excusedMs, simulatedMs };
  return {
    seed,
    completed: true,
    failures,
    struck,
    transitions,
    permits,
    messages: history.length,
    ...times,
  };
}

/** A message as reports show it. */
export function lineOf(message: RunResult["history"][number]): string {
  return `${(message.atMs / 1000).toFixed(1).padStart(8)} s  ${nameOf(message).padEnd(12)} ${message.move}`;
}
