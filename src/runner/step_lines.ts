/**
 * The log's lines of a job's steps, beside permit, job and attempt that its log carries: what changed the platform and
 * what is waited for at `info`, beginnings at `debug`, failures at `warn`. What the platform only puts off is waited for.
 */
import type { Log } from "../log.ts";
import type { ApplyStep } from "../core/step.ts";
import type { OpenWait } from "./waits.ts";
import type { StepResult } from "./wave.ts";

/** A step that was recorded as begun; to be told after the commit. */
export function tellBegun(log: Log, { kind, target, why, wave }: ApplyStep): void {
  log.debug("step begins", { step: kind, target, wave, why });
}

/** How a step ended; to be told once the outcome is in the database. */
export function tellEnded(log: Log, { step: { kind, target }, result, fault }: StepResult): void {
  if (fault === null) return log.info("step done", { step: kind, target, detail: result?.detail });
  const { disposition, reason, message, advice } = fault;
  const fields = { step: kind, target, disposition, reason, error: message, advice: advice ?? undefined };
  if (disposition === "wait") log.debug("step put off", fields);
  else log.warn("step failed", fields);
}

/** A wait that was recorded as begun. */
export function tellWait(log: Log, { kind, target, text, fault }: OpenWait): void {
  log.info("waits", {
    step: `await-${kind}`,
    target,
    waitingFor: text,
    reason: fault?.reason,
    advice: fault?.advice ?? undefined,
  });
}

/** A wait that is over: what it waited for came, or its deadline passed. */
export function tellWaited(log: Log, { kind, target, text }: OpenWait, outcome: "waited" | "failed"): void {
  const fields = { step: `await-${kind}`, target, waitingFor: text };
  if (outcome === "waited") log.debug("wait is over", fields);
  else log.warn("waited too long", fields);
}
