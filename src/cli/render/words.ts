/** Words of the API in the colours that say how urgent they are. */
import type { JobView } from "../../api/schemas/jobs.ts";
import type { EventView } from "../../api/schemas/events.ts";
import type { Status } from "../../core/status.ts";
import type { Style } from "../style.ts";
import { ago, instantText } from "../time.ts";

/** Stands for what is not there. */
export const NOTHING = "-";

/** What `outdated` means (DESIGN 8). */
export const OUTDATED_TEXT = "outdated: another image, tier or template waits for the next start";
/** What a cancel means to a job that runs. */
export const CANCEL_TEXT = "cancel requested: it stops after the current step";

/** What a deleted permit has: nothing. */
export function deletedText(deletedAt: string, nowMs: number): string {
  return `deleted ${instantText(deletedAt)} (${
    ago(deletedAt, nowMs)
  }): nothing of it is left on the platform`;
}

/** A permit's or workspace's public word. */
export function statusWord(style: Style, status: Status): string {
  switch (status) {
    case "RUNNING":
      return style.green(status);
    case "FAILED":
      return style.red(status);
    case "HALTED":
    case "PENDING":
    case "PROVISIONING":
    case "STOPPING":
    case "DESTROYING":
      return style.yellow(status);
    default:
      return status;
  }
}

/** A job's state; of one that ran when the service stopped, that. */
export function stateWord(style: Style, { state, suspended }: Pick<JobView, "state" | "suspended">): string {
  if (suspended && state === "running") return style.yellow("interrupted");
  if (state === "succeeded") return style.green(state);
  if (state === "failed") return style.red(state);
  return state === "running" ? style.blue(state) : state;
}

/** An event's verdict. */
export function verdictWord(style: Style, verdict: EventView["verdict"]): string {
  if (verdict === "accepted") return style.green(verdict);
  return verdict === "rejected" || verdict === "conflict" ? style.red(verdict) : style.yellow(verdict);
}

/** "yes" or "no". */
export function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}
