/** Actions on a permit's namespace. */
import type { ApplyResult } from "../../../core/driver.ts";
import { Fault } from "../../../core/fault.ts";
import { permitName } from "../../../core/names.ts";
import type { Action } from "../../../core/step.ts";
import { type Doomed, readDoomed } from "../doomed.ts";
import { scopeManifests } from "../manifests/scope.ts";
import { someOf } from "../other_kinds.ts";
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
 * Deletes the namespace that was seen, and only if it is ours and holds nothing of somebody else's: a namespace that goes
 * takes everything along (invariant 8). What it waits for shows in the next observation.
 */
export async function destroyScope(
  writing: Writing,
  { seen }: Of<"destroy-scope">,
  settings: Pick<KubernetesSettings, "secretsRole" | "imagePullSecrets" | "inEachNamespace">,
  traits: ClusterTraits,
): Promise<ApplyResult> {
  const { permitId } = writing;
  const name = permitName(permitId);
  const found = await requireOurs(writing, "namespaces", { name });
  if (found === null) return { detail: "the namespace is gone already" };
  if (found.metadata.deletionTimestamp !== undefined) {
    return { detail: "the namespace is being deleted already" };
  }
  const { secretsRole } = settings;
  const { secretsAccess } = scopeManifests({ permitId, fsGroup: 0, members: 0, secretsRole, traits });
  const { doomed: [doomed, ...others], unlisted } = await readDoomed(writing, secretsAccess, settings);
  if (doomed !== undefined) throw doomedFault(name, doomed, others.length, unlisted);
  if (seen === null) throw changedFault(`Namespace ${name}`);
  await removeSeen(writing, "namespaces", { name }, seen);
  return { detail: `${name} is being deleted${unseen(unlisted)}` };
}

/** What nobody looked for is said, not passed over: it goes unseen. */
function unseen(unlisted: readonly string[]): string {
  return unlisted.length === 0 ? "" : `; WPS may not list, and did not look for: ${someOf(unlisted)}`;
}

function doomedFault(
  namespace: string,
  { object, why }: Doomed,
  others: number,
  unlisted: readonly string[],
): Fault {
  const more = others === 0 ? "" : ` (and ${others} more)`;
  const message = `Cannot end Namespace ${namespace}: ${object}${more} would go with it: ${why}`;
  return new Fault("stalled", "foreign-object", message, {
    target: object,
    advice: `Move or remove ${object}, then run wps jobs retry; what another tool puts into each namespace ` +
      `belongs in drivers.kubernetes.inEachNamespace${unseen(unlisted)}`,
  });
}
