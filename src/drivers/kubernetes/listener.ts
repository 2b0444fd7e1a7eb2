/** WPS's own canary: a namespace outside of permits with a listener at a stable address (DESIGN 8). */
import { isConflict } from "./answers.ts";
import type { Client } from "./client.ts";
import { foreignFault } from "./faults.ts";
import { canaryManifests, isOfCanaries, LISTENER } from "./manifests/canaries.ts";
import { NOTE, note } from "./marks.ts";
import type { ClusterTraits, KubernetesSite } from "./settings.ts";
import { describePlace, type Manifest, type MetadataOnly, type Resource, type Stored } from "./wire.ts";
import { NEVER_A_VERSION } from "./write.ts";

/** What ensuring it needs. */
export interface ListenerParts {
  client: Client;
  site: KubernetesSite;
  traits: () => Promise<ClusterTraits>;
}

/** Namespace, account and listener, written where they are missing or of an older version. Out: the listener's address. */
export async function ensureCanaries(
  { client, site, traits }: ListenerParts,
  script: string,
  signal: AbortSignal,
): Promise<string | null> {
  const namespace = site.settings.canaryNamespace;
  const manifests = canaryManifests(script, site, await traits());
  const [space, account, listener, service] = await Promise.all([
    client.getMetadata("namespaces", { name: namespace }, signal),
    client.getMetadata("serviceaccounts", { namespace, name: manifests.account.metadata.name }, signal),
    client.getMetadata("statefulsets", { namespace, name: LISTENER }, signal),
    client.get("services", { namespace, name: LISTENER }, signal),
  ]);
  const hash = manifests.listener.metadata.annotations?.[NOTE.templateHash];
  const isComplete = [space, account, service].every((found) => found !== null) && listener !== null &&
    note(listener, NOTE.templateHash) === hash;
  if (space !== null) requireOfCanaries("namespaces", space);
  if (listener !== null) requireOfCanaries("statefulsets", listener);
  if (isComplete) return service?.spec?.clusterIP ?? null;
  await applyOfCanaries(client, "namespaces", manifests.namespace, signal);
  await applyOfCanaries(client, "serviceaccounts", manifests.account, signal);
  const [stored] = await Promise.all([
    applyOfCanaries(client, "services", manifests.service, signal),
    applyOfCanaries(client, "statefulsets", manifests.listener, signal),
  ]);
  return stored.spec?.clusterIP ?? null;
}

/** Creates, or writes over what is WPS's canaries'; never over anything else (invariant 8). */
async function applyOfCanaries<R extends Resource>(
  client: Client,
  resource: R,
  manifest: Manifest<R>,
  signal: AbortSignal,
): Promise<Stored<R>> {
  const { namespace, name } = manifest.metadata;
  try {
    const metadata = { ...manifest.metadata, resourceVersion: NEVER_A_VERSION };
    return await client.apply(resource, { ...manifest, metadata }, signal);
  } catch (thrown) {
    if (!isConflict(thrown)) throw thrown;
    const found = await client.getMetadata(resource, { namespace, name }, signal);
    if (found === null) throw thrown;
    requireOfCanaries(resource, found);
    const metadata = { ...manifest.metadata, uid: found.metadata.uid };
    return await client.apply(resource, { ...manifest, metadata }, signal);
  }
}

function requireOfCanaries(resource: Resource, found: MetadataOnly): void {
  if (isOfCanaries(found)) return;
  const { namespace, name } = found.metadata;
  throw foreignFault(describePlace(resource, { namespace, name }), "it is not of WPS's canaries");
}
