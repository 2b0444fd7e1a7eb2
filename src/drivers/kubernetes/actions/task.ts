/** Actions on consolidations. */
import type { ApplyResult } from "../../../core/driver.ts";
import { permitName, taskName } from "../../../core/names.ts";
import type { Action } from "../../../core/step.ts";
import { consolidationManifest } from "../manifests/consolidation.ts";
import { silentFault } from "../faults.ts";
import type { Gate } from "../manifests/gate.ts";
import type { KubernetesSite } from "../settings.ts";
import { createOnly, findOurs, removeSeen, type Writing } from "../write.ts";

type Of<K extends Action["kind"]> = Extract<Action, { kind: K }>;

/**
 * Starts the Job behind its gate; one that failed before is removed first, exactly the one that was seen. `script`:
 * consolidate.sh; without a gate nothing is started.
 */
export async function consolidate(
  writing: Writing,
  { consolidation, task }: Of<"consolidate">,
  site: KubernetesSite,
  script: string,
  gate: Gate | null,
): Promise<ApplyResult> {
  if (gate === null) throw silentFault(`consolidate ${consolidation.fromKey}`);
  const { permitId } = writing;
  const place = { namespace: permitName(permitId), name: taskName(consolidation.fromKey) };
  // Any other Job of that name stays, and createOnly is refused; as is one whose pods have not ended yet.
  if (task !== null && task.state === "failed" && task.seen !== null) {
    await removeSeen(writing, "jobs", place, task.seen, { foreground: task.pods.length > 0 });
  }
  await createOnly(writing, "jobs", consolidationManifest(permitId, consolidation, script, gate, site));
  return { detail: `Job ${place.name} into ${consolidation.into.key}/${consolidation.folder}` };
}

/** Removes a Job and its pods; it stays visible until the pods are gone. */
export async function removeTask(writing: Writing, { task }: Of<"remove-task">): Promise<ApplyResult> {
  const place = { namespace: permitName(writing.permitId), name: task.name };
  const found = await findOurs(writing, "jobs", place);
  if (found === null || task.seen === null) return { detail: "the Job is gone already" };
  if (found.metadata.deletionTimestamp !== undefined) return { detail: "the Job is being deleted already" };
  await writing.client.remove("jobs", place, { uid: task.seen.uid }, writing.signal, { foreground: true });
  return { detail: `Job ${task.name} is being deleted` };
}
