/** What counts as a proof of isolation (DESIGN 8): who needs one, and which canaries speak for it. */
import type { Observed } from "./observed.ts";
import type { DesiredWorkspace } from "./workspace.ts";

/** Live canaries without which nothing is proven: one alone may be down without anybody noticing (DESIGN 8). */
export const CANARIES_ALIVE_MIN = 2;
/** A workspace is started only when the canaries were found alive at most this long ago (DESIGN 8). */
export const CANARIES_FRESH_MS = 60_000;

/** Who is near sensitive data passes the gate before anything is mounted (invariant 6). */
export function isGated({ sensitive }: Pick<DesiredWorkspace, "sensitive">): boolean {
  return sensitive;
}

/** Whether enough canaries were alive a moment ago: only then would a leak show. */
export function areCanariesFresh(
  { canaries: { answer }, atMs }: Pick<Observed, "canaries" | "atMs">,
): boolean {
  return answer !== null && answer.alive.length >= CANARIES_ALIVE_MIN &&
    atMs - answer.askedAtMs <= CANARIES_FRESH_MS;
}

/** Whether enough canaries were still alive after an instance had passed its gate. */
export function areCanariesConfirmed(
  { canaries: { answer } }: Pick<Observed, "canaries">,
  instanceUid: string,
): boolean {
  return answer !== null && answer.alive.length >= CANARIES_ALIVE_MIN && answer.after.includes(instanceUid);
}

/** What keeps the canaries from speaking for a proof, for a person; null: nothing. */
export function canariesInWay({ canaries: { asking, answer } }: Pick<Observed, "canaries">): string | null {
  if (answer !== null && answer.alive.length < CANARIES_ALIVE_MIN) {
    const silent = answer.silent.length === 0 ? "" : `; no answer from ${answer.silent.join(", ")}`;
    return `${answer.alive.length} of ${
      answer.alive.length + answer.silent.length
    } canaries answer the control pod, ` +
      `at least ${CANARIES_ALIVE_MIN} must${silent}`;
  }
  return asking?.detail ?? null;
}
