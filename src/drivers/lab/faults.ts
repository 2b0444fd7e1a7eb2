/** The lab's refusals, in the dispositions and words that a real cluster's would have. */
import { Fault } from "../../core/fault.ts";
import type { ForeignObject } from "../../core/observed.ts";

/** Somebody else was faster: the plan is made anew on a fresh observation (invariant 9). */
export function conflict(what: string, why: string): Fault {
  return new Fault("retry", "conflict", `Cannot write ${what}: ${why}`, { target: what });
}

/** An object without our mark is in the way (invariant 8). */
export function foreign(what: string): Fault {
  return new Fault("stalled", "foreign-object", `Cannot touch ${what}: it does not bear WPS's mark`, {
    advice: `Rename or remove ${what}, then run wps jobs retry`,
    target: what,
  });
}

/** What is not WPS's would go along (invariant 8). */
export function doomed(what: string, { object, why }: ForeignObject): Fault {
  return new Fault("stalled", "foreign-object", `Cannot end ${what}: ${object} would go with it: ${why}`, {
    advice: `Move or remove ${object}, then run wps jobs retry`,
    target: object,
  });
}

/** An object is still going. */
export function terminating(doing: string, what: string): Fault {
  return new Fault("wait", "terminating", `Cannot ${doing}: ${what} is still there`, { target: what });
}

/** What an action stands on is not there. */
export function notFound(doing: string, what: string): Fault {
  return new Fault("retry", "not-found", `Cannot ${doing}: ${what} is not there`, { target: what });
}

/** Nobody wants the answer any more. */
export function cancelled(call: string): Fault {
  return new Fault("cancelled", "cancelled", `Cannot finish ${call}: it was cancelled`);
}
