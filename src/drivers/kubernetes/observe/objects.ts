/** Everything of a permit, object by object: what a deletion must be seen to end (DESIGN 11). */
import { permitName, taskName, volumeName, workspaceName } from "../../../core/names.ts";
import type { ObservedObject } from "../../../core/observed.ts";
import { isOurs, LABEL, NOTE, note } from "../marks.ts";
import { type MetadataOnly, type Resource, RESOURCES } from "../wire.ts";
import type { Snapshot } from "./snapshot.ts";

/** What bears WPS's mark for the permit, and the volumes that claims of it are bound to. */
export function objectsOf(snapshot: Snapshot): ObservedObject[] {
  const { permitId, namespace, volumes } = snapshot;
  const name = permitName(permitId);
  const within: [Resource, MetadataOnly[]][] = [
    ["resourcequotas", snapshot.quotas],
    ["limitranges", snapshot.limits],
    ["serviceaccounts", snapshot.accounts],
    ["rolebindings", snapshot.bindings],
    ["networkpolicies", snapshot.policies],
    ["persistentvolumeclaims", snapshot.claims],
    ["secrets", snapshot.secrets],
    ["services", snapshot.services],
    ["statefulsets", snapshot.statefulSets],
    ["pods", snapshot.pods],
    ["jobs", snapshot.jobs],
  ];
  const found: ObservedObject[] = [];
  if (namespace !== null && isOurs(namespace, permitId)) {
    found.push({
      ...identityOf("namespaces", namespace, permitId),
      foundBy: `get namespace ${name}`,
      isWithin: false,
    });
  }
  for (const [resource, objects] of within) {
    const foundBy = `list of ${resource} in namespace ${name}`;
    for (const object of objects.filter((candidate) => isOurs(candidate, permitId))) {
      found.push({ ...identityOf(resource, object, permitId), foundBy, isWithin: true });
    }
  }
  const claims = new Map(
    snapshot.claims.filter((claim) => isOurs(claim, permitId)).map((claim) => [claim.metadata.uid, claim]),
  );
  for (const volume of volumes) {
    const claim = claims.get(volume.spec?.claimRef?.uid ?? "");
    if (claim === undefined && !isOurs(volume, permitId)) continue;
    const { kind, uid } = identityOf("persistentvolumes", volume, permitId);
    const of = belongs(isOurs(volume, permitId) || claim === undefined ? volume : claim, permitId);
    const foundBy = `list of persistentvolumes labelled ${LABEL.permit}=${name}`;
    found.push({ kind, name: volume.metadata.name, uid, of, foundBy, isWithin: false });
  }
  return found;
}

function identityOf(
  resource: Resource,
  object: MetadataOnly,
  permitId: string,
): Pick<ObservedObject, "kind" | "name" | "uid" | "of"> {
  const { name, uid } = object.metadata;
  return { kind: RESOURCES[resource].kind, name, uid, of: belongs(object, permitId) };
}

/** Keys count where a label's name proves them, as everywhere. */
function belongs(object: MetadataOnly, permitId: string): ObservedObject["of"] {
  const labels = object.metadata.labels ?? {};
  const volume = note(object, NOTE.volumeKey), workspace = note(object, NOTE.workspaceKey);
  if (volume !== null && labels[LABEL.task] === taskName(volume)) return { kind: "task", key: volume };
  if (workspace !== null && labels[LABEL.workspace] === workspaceName(workspace)) {
    return { kind: "workspace", key: workspace };
  }
  if (volume !== null && labels[LABEL.volume] === volumeName(volume)) return { kind: "volume", key: volume };
  return { kind: "permit", key: permitId };
}
