/** A way out where none may be, as an observation or a proof shows it: its permit is halted at once (DESIGN 8). */
import type { Fault } from "../core/fault.ts";
import { taskTitle } from "../core/guarded.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit } from "../core/permit.ts";
import type { ApplyStep } from "../core/step.ts";

/**
 * Halts a permit. `what`: a workspace's key, or a consolidation by its uploads. Never throws: what cannot be recorded now is
 * found again by the next look.
 */
export type Alarm = (permitId: string, what: string, why: string) => Promise<void>;

/**
 * Tells of the first workspace or consolidation that has a pod and whose network somebody else opens; a halted permit has
 * been told of.
 */
export async function tellBreach(
  { alarm }: { alarm: Alarm },
  { permitId, halted }: Pick<Permit, "permitId" | "halted">,
  { workspaces, tasks }: Pick<Observed, "workspaces" | "tasks">,
): Promise<void> {
  if (halted) return;
  const near = [
    ...workspaces.map(({ key, network, instances }) => ({ what: key, network, pods: instances.length })),
    ...tasks.map(({ key, network, pods }) => ({ what: taskTitle(key), network, pods: pods.length })),
  ];
  for (const { what, network, pods } of near) {
    if (network.state !== "breached" || pods === 0) continue;
    return await alarm(permitId, what, `${network.by} opens its network`);
  }
}

/** Tells of the first proof that found a way out instead: its packets show what no policy does. */
export async function tellReached(
  { alarm }: { alarm: Alarm },
  permitId: string,
  ended: readonly { step: Pick<ApplyStep, "target">; fault: Fault | null }[],
): Promise<void> {
  const found = ended.find(({ fault }) => fault?.reason === "isolation-breached");
  if (found?.fault == null) return;
  await alarm(permitId, found.step.target, found.fault.message);
}
