/**
 * The four ways to write: only create, only over what was seen (invariant 9), over whatever is ours, and delete.
 * All are server-side applies of the whole object by one manager, so that its managed fields stay whole.
 */
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import type { Seen } from "../../core/observed.ts";
import { isConflict } from "./answers.ts";
import type { Client } from "./client.ts";
import { foreignFault } from "./faults.ts";
import { isOurs, whyForeign } from "./marks.ts";
import {
  describePlace,
  type Manifest,
  type MetadataOnly,
  type Place,
  type Resource,
  type Stored,
} from "./wire.ts";

/**
 * A version that no stored object ever has (etcd's first revision is older than the first object). A server-side
 * apply with it creates what is absent and answers 409 to what exists: measured on 1.36, tested on the real server.
 * A POST would do the same but be recorded as an update, and fields that a later apply leaves out would stay.
 */
export const NEVER_A_VERSION = "1";
/** A write that must not fail because of a race is tried this often; each further round needs another rival write. */
const ROUNDS_MAX = 8;

/** What every write needs. */
export interface Writing {
  client: Client;
  permitId: string;
  signal: AbortSignal;
  clock: Clock;
}

/** Where a manifest goes. */
export function placeOf<R extends Resource>({ metadata }: Manifest<R>): Place {
  return { namespace: metadata.namespace, name: metadata.name };
}

/** Creates; a conflict Fault when something of that name exists, or a foreign-object Fault when it is not ours. */
export async function createOnly<R extends Resource>(
  writing: Writing,
  resource: R,
  manifest: Manifest<R>,
): Promise<Stored<R>> {
  const metadata = { ...manifest.metadata, resourceVersion: NEVER_A_VERSION };
  try {
    return await writing.client.apply(resource, { ...manifest, metadata }, writing.signal);
  } catch (thrown) {
    if (isConflict(thrown)) await requireOurs(writing, resource, placeOf(manifest));
    throw thrown;
  }
}

/** Writes over exactly what was seen, or creates where nothing was seen; anything else is a conflict Fault. */
export async function applySeen<R extends Resource>(
  writing: Writing,
  resource: R,
  manifest: Manifest<R>,
  seen: Seen,
): Promise<Stored<R>> {
  if (seen === null) return await createOnly(writing, resource, manifest);
  const metadata = { ...manifest.metadata, uid: seen.uid, resourceVersion: seen.version };
  return await writing.client.apply(resource, { ...manifest, metadata }, writing.signal);
}

/**
 * Creates, or writes over whatever stands there as long as it is ours, whatever its version. `uid`: an object that was
 * seen, tried first. Never takes over a foreign object.
 */
export async function applyOwned<R extends Resource>(
  writing: Writing,
  resource: R,
  manifest: Manifest<R>,
  uid: string | null = null,
): Promise<Stored<R>> {
  let target = uid;
  for (let round = 1;; round++) {
    const precondition = target === null ? { resourceVersion: NEVER_A_VERSION } : { uid: target };
    try {
      const metadata = { ...manifest.metadata, ...precondition };
      return await writing.client.apply(resource, { ...manifest, metadata }, writing.signal);
    } catch (thrown) {
      if (!isConflict(thrown) || round === ROUNDS_MAX) throw thrown;
      target = (await requireOurs(writing, resource, placeOf(manifest)))?.metadata.uid ?? null;
    }
  }
}

/** The object's metadata when it is ours, null when it is absent; a stalled Fault when it is somebody else's. */
export async function requireOurs(
  { client, permitId, signal }: Writing,
  resource: Resource,
  place: Place,
): Promise<MetadataOnly | null> {
  const found = await client.getMetadata(resource, place, signal);
  if (found !== null && !isOurs(found, permitId)) {
    throw foreignFault(describePlace(resource, place), whyForeign(found, permitId));
  }
  return found;
}

/** The object's metadata when it is ours; null when it is absent or somebody else's: then there is nothing to take away. */
export async function findOurs(
  { client, permitId, signal }: Writing,
  resource: Resource,
  place: Place,
): Promise<MetadataOnly | null> {
  const found = await client.getMetadata(resource, place, signal);
  return found !== null && isOurs(found, permitId) ? found : null;
}

/** Deletes an object of ours, whatever its version; absent is done. False: there was none of ours. */
export async function removeOwned(writing: Writing, resource: Resource, place: Place): Promise<boolean> {
  const found = await findOurs(writing, resource, place);
  if (found === null || found.metadata.deletionTimestamp !== undefined) return found !== null;
  return await writing.client.remove(resource, place, { uid: found.metadata.uid }, writing.signal);
}

/** Deletes exactly what was seen; a conflict Fault when it has changed. Absent is done. */
export async function removeSeen(
  writing: Writing,
  resource: Resource,
  place: Place,
  seen: NonNullable<Seen>,
  options: { foreground?: boolean } = {},
): Promise<boolean> {
  const preconditions = { uid: seen.uid, resourceVersion: seen.version };
  return await writing.client.remove(resource, place, preconditions, writing.signal, options);
}

/** A conflict Fault of our own making: what was read is not what was seen. */
export function changedFault(target: string): Fault {
  return new Fault("retry", "conflict", `Cannot change ${target}: it is not the one that was seen`, {
    target,
    advice: "None needed: WPS looks again and plans anew",
  });
}
