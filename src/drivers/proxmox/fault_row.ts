/** A row of the table from answers to dispositions, and what its conditions are made of. */
import type { Disposition, Reason } from "../../core/fault.ts";
import type { Answer, Asked } from "./answers.ts";

/** What an answer means to WPS, for code that acts on it. */
export type Meaning =
  | "unauthenticated"
  | "pool-unseen"
  | "denied"
  | "vm-denied"
  | "disk-busy"
  | "exists"
  | "task-unknown"
  | "storage-missing"
  | "firewall-other"
  | "vmid-taken"
  | "changed"
  | "locked"
  | "lock-timeout"
  | "vm-unseen"
  | "protected"
  | "running"
  | "not-running"
  | "agent-silent"
  | "pool-other"
  | "node-unseen"
  | "root-only"
  | "too-large"
  | "no-memory"
  | "disk-unseen"
  | "volume-missing"
  | "bridge-missing"
  | "guest-deaf"
  | "ended"
  | "refused"
  | "unsupported"
  | "unreachable"
  | "cut-off"
  | "redirected"
  | "failed"
  | "unexpected";

/** One row: the first that fits decides. */
export interface Row {
  means: Meaning;
  /** Why it exists, for the reader of the table and of its test. */
  why: string;
  when: (answer: Answer) => boolean;
  disposition: Disposition;
  reason: Reason;
  advice: (asked: Asked, answer: Answer) => string;
  /** Whether a write that was answered so may have been carried out all the same; absent: it was not. */
  mayBeDone?: (answer: Answer) => boolean;
}

/** A condition: a message of the API (500), a refused parameter (400) or a task's exit status reads so. */
export function said(pattern: RegExp): Row["when"] {
  return ({ status, message, errors }) =>
    (status === null || status === 400 || status === 500) &&
    (pattern.test(message) || errors.some(({ text }) => pattern.test(text)));
}

/** A condition: a 403 whose message reads so. */
export function denied(pattern: RegExp): Row["when"] {
  return ({ status, message }) => status === 403 && pattern.test(message);
}

/** A condition: an HTTP status from one number to another. */
export function status(from: number, to: number = from): Row["when"] {
  return (answer) => answer.status !== null && answer.status >= from && answer.status <= to;
}

/** A row that asks for another look and nothing else. */
export function lookAgain(means: Meaning, why: string, when: Row["when"]): Row {
  const advice = (): string => "None needed: WPS looks again and plans anew";
  return { means, why, when, disposition: "retry", reason: "conflict", advice };
}

/** "Permission check failed (/vms/100, VM.Audit)": both, in words. */
export function privilege({ message }: Answer): string {
  const [, path, names = ""] = /\((\S*), (\S+)\)/.exec(message) ?? [];
  return names === "" ? "the privilege that it needs" : `${names.replaceAll("|", " or ")} on ${path || "/"}`;
}
