/** A way out where none may be, as an observation or a proof shows it: its permit is halted at once (DESIGN 8). */
import type { Fault } from "../core/fault.ts";
import { taskTitle } from "../core/guarded.ts";
import { dataBesideWayOut } from "../core/invariants.ts";
import type { Observed, ObservedWorkspace } from "../core/observed.ts";
import type { Permit } from "../core/permit.ts";
import type { ApplyStep } from "../core/step.ts";

/**
 * Halts a permit. `what`: a workspace's key, or a consolidation by its uploads. Never throws: what cannot be recorded now is
 * found again by the next look.
 */
export type Alarm = (permitId: string, what: string, why: string) => Promise<void>;

/**
 * Tells of the first workspace or consolidation that has a pod and whose network somebody else opens, or of the first
 * workspace that is open with a way out for a pod that mounts data. A halted permit has been told of.
 */
export async function tellBreach(
  { alarm }: { alarm: Alarm },
  { permitId, halted }: Pick<Permit, "permitId" | "halted">,
  { workspaces, tasks, volumes }: Pick<Observed, "workspaces" | "tasks" | "volumes">,
): Promise<void> {
  if (halted) return;
  const tainted = new Set(volumes.filter(({ tainted }) => tainted).map(({ key }) => key));
  const near = [
    ...workspaces.map(({ key, network, instances }) => ({ what: key, network, pods: instances.length })),
    ...tasks.map(({ key, network, pods }) => ({ what: taskTitle(key), network, pods: pods.length })),
  ];
  for (const { what, network, pods } of near) {
    if (network.state !== "breached" || pods === 0) continue;
    return await alarm(permitId, what, `${network.by} opens its network`);
  }
  for (const workspace of workspaces) {
    const why = openedBesideData(workspace, tainted);
    if (why !== null) return await alarm(permitId, workspace.key, why);
  }
}

/**
 * WPS opens no way out for a pod that mounts data (invariant 1), so whoever wrote such rules was not WPS, however exactly
 * they are of its form: who may write a policy can name any posture in its annotation. What differs from the wish without
 * data beside it harms nobody yet, and the planner cuts it. `tainted`: keys of the volumes whose own mark says that they
 * hold data.
 */
function openedBesideData(
  { key, owner, network, instances }: ObservedWorkspace,
  tainted: ReadonlySet<string>,
): string | null {
  if (network.state !== "open") return null;
  const { posture, openedFor } = network;
  const mounts = instances.find(({ uid }) => uid === openedFor)?.mounts ?? [];
  const data = dataBesideWayOut(
    { key, owner, power: "running", posture, mounts },
    (volumeKey) => tainted.has(volumeKey),
  );
  if (data.length === 0) return null;
  const keys = data.map(({ volumeKey }) => volumeKey).join(", ");
  return `its own policy is ${posture}, and its pod mounts ${keys}`;
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
