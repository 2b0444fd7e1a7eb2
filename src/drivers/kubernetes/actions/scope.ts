/** Actions on a permit's namespace. */
import type { ApplyResult } from "../../../core/driver.ts";
import { Fault } from "../../../core/fault.ts";
import { permitName } from "../../../core/names.ts";
import type { Action } from "../../../core/step.ts";
import { foreignFault } from "../faults.ts";
import { scopeManifests } from "../manifests/scope.ts";
import { isOurs, whyForeign } from "../marks.ts";
import type { ClusterTraits, KubernetesSettings } from "../settings.ts";
import { describePlace } from "../wire.ts";
import { applyOwned, applySeen, changedFault, removeSeen, requireOurs, type Writing } from "../write.ts";

type Of<K extends Action["kind"]> = Extract<Action, { kind: K }>;

/** The namespace, then its guards side by side: two round trips for a new permit. */
export async function ensureScope(
  writing: Writing,
  { fsGroup, members, seen }: Of<"ensure-scope">,
  { secretsRole }: Pick<KubernetesSettings, "secretsRole">,
  traits: ClusterTraits,
): Promise<ApplyResult> {
  const { permitId } = writing;
  const scope = scopeManifests({ permitId, fsGroup, members, secretsRole, traits });
  if (seen !== null) await refuseTerminating(writing);
  await applySeen(writing, "namespaces", scope.namespace, seen);
  await Promise.all([
    applyOwned(writing, "limitranges", scope.limits),
    applyOwned(writing, "resourcequotas", scope.quota),
    applyOwned(writing, "networkpolicies", scope.defaultDeny),
    applyOwned(writing, "serviceaccounts", scope.account),
    applyOwned(writing, "rolebindings", scope.secretsAccess),
  ]);
  return { detail: `${scope.namespace.metadata.name}: namespace with 5 guards` };
}

/** A namespace that is going takes nothing new, and mending its guards would only delay it. */
async function refuseTerminating({ client, permitId, signal }: Writing): Promise<void> {
  const name = permitName(permitId);
  const found = await client.getMetadata("namespaces", { name }, signal);
  if (found?.metadata.deletionTimestamp === undefined) return;
  const target = describePlace("namespaces", { name });
  throw new Fault("wait", "terminating", `Cannot complete ${target}: it is being deleted`, {
    target,
    advice: "None needed: WPS waits until it is gone and makes it anew; wps status names what holds it",
  });
}

/**
 * Deletes the namespace that was seen, and only if it is ours and holds no claim of somebody else's: a namespace that
 * goes takes everything along (invariant 8). What it waits for shows in the next observation. */
export async function destroyScope(writing: Writing, { seen }: Of<"destroy-scope">): Promise<ApplyResult> {
  const name = permitName(writing.permitId);
  const found = await requireOurs(writing, "namespaces", { name });
  if (found === null) return { detail: "the namespace is gone already" };
  if (found.metadata.deletionTimestamp !== undefined) {
    return { detail: "the namespace is being deleted already" };
  }
  await refuseForeignClaims(writing, name);
  if (seen === null) throw changedFault(`Namespace ${name}`);
  await removeSeen(writing, "namespaces", { name }, seen);
  return { detail: `${name} is being deleted` };
}

async function refuseForeignClaims({ client, permitId, signal }: Writing, namespace: string): Promise<void> {
  const { items } = await client.listMetadata("persistentvolumeclaims", { namespace }, signal);
  const foreign = items.find((claim) => !isOurs(claim, permitId));
  if (foreign === undefined) return;
  const target = describePlace("persistentvolumeclaims", { namespace, name: foreign.metadata.name });
  throw foreignFault(target, `${whyForeign(foreign, permitId)}, and the namespace's end would destroy it`);
}
