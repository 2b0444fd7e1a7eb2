/** A way out where none may be, as it shows in an observation: its permit is halted at once (DESIGN 8). */
import type { Observed } from "../core/observed.ts";
import type { Permit } from "../core/permit.ts";

/** Halts a permit. Never throws: what cannot be recorded now is found again by the next look. */
export type Alarm = (permitId: string, workspaceKey: string, why: string) => Promise<void>;

/** Tells of the first workspace that has a pod and whose network somebody else opens; a halted permit has been told of. */
export async function tellBreach(
  { alarm }: { alarm: Alarm },
  { permitId, halted }: Pick<Permit, "permitId" | "halted">,
  { workspaces }: Pick<Observed, "workspaces">,
): Promise<void> {
  if (halted) return;
  for (const { key, network, instances } of workspaces) {
    if (network.state !== "breached" || instances.length === 0) continue;
    return await alarm(permitId, key, `${network.by} opens its network`);
  }
}
