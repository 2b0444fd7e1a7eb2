/** Actions on volumes: claim and backing (DESIGN 8). */
import type { ApplyResult } from "../../../core/driver.ts";
import { Fault } from "../../../core/fault.ts";
import { permitName, volumeName } from "../../../core/names.ts";
import type { Seen } from "../../../core/observed.ts";
import type { Action } from "../../../core/step.ts";
import { foreignFault } from "../faults.ts";
import { claimManifest, volumeMarks } from "../manifests/claim.ts";
import { isOurs, LABEL, MANAGER, NOTE, note, whyForeign } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import { describePlace, type Place, type Stored } from "../wire.ts";
import { changedFault, createOnly, removeSeen, type Writing } from "../write.ts";

type Of<K extends Action["kind"]> = Extract<Action, { kind: K }>;
type Claim = Stored<"persistentvolumeclaims">;
type Backing = Stored<"persistentvolumes">;

function claimPlace(permitId: string, key: string): Place {
  return { namespace: permitName(permitId), name: volumeName(key) };
}

/** A new claim. An existing one stays as it is, because Kubernetes fixes what a claim asks for; only its mark may be added. */
export async function ensureVolume(
  writing: Writing,
  { volume, seen }: Of<"ensure-volume">,
  site: Pick<KubernetesSite, "settings" | "singleNode">,
): Promise<ApplyResult> {
  if (seen === null) {
    await refuseBesideData(writing, volume.key);
    await createOnly(writing, "persistentvolumeclaims", claimManifest(writing.permitId, volume, site));
    return { detail: `claim of ${volume.size} made` };
  }
  const existing = await requireClaim(writing, volume.key);
  if (existing === null || existing.metadata.uid !== seen.uid) {
    throw changedFault(`PVC ${volumeName(volume.key)}`);
  }
  if (volume.sensitive && note(existing, NOTE.tainted) !== "true") {
    return await taintVolume(writing, { kind: "taint-volume", volume, seen });
  }
  return { detail: "claim kept" };
}

/** A known volume is never replaced by an empty one (invariant 4): data that lost its claim is rebound instead. */
async function refuseBesideData(writing: Writing, key: string): Promise<void> {
  const [backing] = await backingsOf(writing, key);
  if (backing !== undefined) throw changedFault(`the volume of ${key}`);
}

/** A new claim for the data of a vanished one: the backing forgets the old claim's uid and is named by the new one. */
export async function rebindVolume(
  writing: Writing,
  { volume, seen }: Of<"rebind-volume">,
): Promise<ApplyResult> {
  const { client, permitId, signal } = writing;
  const place = claimPlace(permitId, volume.key);
  const backing = await findBacking(writing, volume.key, seen);
  const { claimRef, accessModes, storageClassName, capacity } = backing.spec ?? {};
  if (claimRef !== undefined && (claimRef.namespace !== place.namespace || claimRef.name !== place.name)) {
    throw foreignFault(
      describePlace("persistentvolumes", backing.metadata),
      `it is bound to ${claimRef.namespace}/${claimRef.name}`,
    );
  }
  const tainted = volume.sensitive || note(backing, NOTE.tainted) === "true";
  const size = capacity?.["storage"] ?? volume.size;
  await client.merge("persistentvolumes", { name: backing.metadata.name }, {
    metadata: { uid: backing.metadata.uid, resourceVersion: backing.metadata.resourceVersion },
    spec: {
      claimRef: {
        ...place,
        kind: "PersistentVolumeClaim",
        apiVersion: "v1",
        uid: null,
        resourceVersion: null,
      },
    },
  }, signal);
  await createOnly(writing, "persistentvolumeclaims", {
    metadata: { ...place, ...volumeMarks(permitId, volume.key, tainted) },
    spec: {
      accessModes,
      // An empty class is kept as it is: leaving it out would ask for the default class.
      storageClassName: storageClassName ?? "",
      volumeName: backing.metadata.name,
      resources: { requests: { storage: size } },
    },
  });
  return { detail: `claim made anew for PV ${backing.metadata.name}` };
}

/** Invariant 3's mark on the claim and, as far as it is known, on what backs it: either counts. Never removed. */
export async function taintVolume(
  writing: Writing,
  { volume, seen }: Of<"taint-volume">,
): Promise<ApplyResult> {
  const { client, permitId, signal } = writing;
  const claim = await requireClaim(writing, volume.key);
  if (claim === null || (seen !== null && claim.metadata.uid !== seen.uid)) {
    throw changedFault(`PVC ${volumeName(volume.key)}`);
  }
  const annotations = { [NOTE.tainted]: "true" };
  await client.merge("persistentvolumeclaims", claimPlace(permitId, volume.key), {
    metadata: { uid: claim.metadata.uid, annotations },
  }, signal);
  const backing = await backingOf(writing, claim);
  if (backing !== null) {
    await client.merge("persistentvolumes", { name: backing.metadata.name }, {
      metadata: { uid: backing.metadata.uid, annotations },
    }, signal);
  }
  return { detail: backing === null ? "claim marked" : "claim and PV marked" };
}

/** Reclaim policy Retain and our marks on the backing, so that it is found when its claim is gone. */
export async function retainVolume(writing: Writing, { volume }: Of<"retain-volume">): Promise<ApplyResult> {
  const claim = await requireClaim(writing, volume.key);
  if (claim === null || claim.metadata.uid !== volume.seen?.uid) throw changedFault(`PVC ${volume.name}`);
  const backing = await backingOf(writing, claim);
  if (backing === null) {
    throw new Fault(
      "wait",
      "volume-not-bound",
      `Cannot retain ${volume.key}: PVC ${volume.name} is not bound`,
      {
        target: volume.name,
        advice: "None needed: WPS retains it once it is bound",
      },
    );
  }
  await setReclaim(writing, volume.key, backing, "Retain", note(claim, NOTE.tainted) === "true");
  return { detail: `PV ${backing.metadata.name} is retained` };
}

/** Destroys claim and data: reclaim Delete first, then the claim; the storage driver does the rest. */
export async function destroyVolume(
  writing: Writing,
  { volume }: Of<"destroy-volume">,
): Promise<ApplyResult> {
  const claim = await requireClaim(writing, volume.key);
  if (claim === null) return await destroyOrphan(writing, volume.key, volume.seen);
  if (volume.seen === null || claim.metadata.uid !== volume.seen.uid) {
    throw changedFault(`PVC ${volume.name}`);
  }
  const backing = await backingOf(writing, claim);
  if (backing !== null) {
    await setReclaim(writing, volume.key, backing, "Delete", note(claim, NOTE.tainted) === "true");
  }
  if (claim.metadata.deletionTimestamp !== undefined) return { detail: "the claim is being deleted already" };
  await removeSeen(writing, "persistentvolumeclaims", claimPlace(writing.permitId, volume.key), volume.seen);
  return {
    detail: backing === null ? "claim deleted" : `claim deleted, PV ${backing.metadata.name} follows`,
  };
}

async function destroyOrphan(writing: Writing, key: string, seen: Seen): Promise<ApplyResult> {
  const { client, permitId, signal } = writing;
  const labels = `${LABEL.permit}=${permitName(permitId)}`;
  const marked = await client.list("persistentvolumes", { labels }, signal);
  const backings = marked.filter((backing) =>
    isOurs(backing, permitId) && note(backing, NOTE.volumeKey) === key
  );
  if (backings.length === 0) return { detail: "the volume is gone already" };
  const backing = backings.find(({ metadata }) => metadata.uid === seen?.uid);
  if (backing === undefined) throw changedFault(`the volume of ${key}`);
  await setReclaim(writing, key, backing, "Delete", note(backing, NOTE.tainted) === "true");
  return { detail: `PV ${backing.metadata.name} is being deleted` };
}

/** The claim of a key when it is ours, or null; somebody else's is a foreign-object Fault. */
async function requireClaim({ client, permitId, signal }: Writing, key: string): Promise<Claim | null> {
  const place = claimPlace(permitId, key);
  const claim = await client.get("persistentvolumeclaims", place, signal);
  if (claim !== null && !isOurs(claim, permitId)) {
    throw foreignFault(describePlace("persistentvolumeclaims", place), whyForeign(claim, permitId));
  }
  return claim;
}

/** What backs a claim of ours; null while unbound or lost. A volume marked for another permit is foreign. */
async function backingOf({ client, permitId, signal }: Writing, claim: Claim): Promise<Backing | null> {
  const name = claim.spec?.volumeName;
  if (name === undefined || name === "") return null;
  const backing = await client.get("persistentvolumes", { name }, signal);
  if (backing === null || backing.spec?.claimRef?.uid !== claim.metadata.uid) return null;
  if (backing.metadata.labels?.[LABEL.managedBy] === MANAGER && !isOurs(backing, permitId)) {
    throw foreignFault(describePlace("persistentvolumes", { name }), whyForeign(backing, permitId));
  }
  return backing;
}

/** The released backing of a key, exactly the one that was seen. */
async function findBacking(writing: Writing, key: string, seen: Seen): Promise<Backing> {
  const backings = await backingsOf(writing, key);
  const backing = backings.find(({ metadata }) => metadata.uid === seen?.uid);
  if (backing === undefined || backing.metadata.resourceVersion !== seen?.version) {
    throw changedFault(`the volume of ${key}`);
  }
  return backing;
}

/** Everything that is marked as backing a key of this permit; more than one only after a loss. */
async function backingsOf({ client, permitId, signal }: Writing, key: string): Promise<Backing[]> {
  const labels = `${LABEL.permit}=${permitName(permitId)},${LABEL.volume}=${volumeName(key)}`;
  const marked = await client.list("persistentvolumes", { labels }, signal);
  return marked.filter((backing) => isOurs(backing, permitId) && note(backing, NOTE.volumeKey) === key);
}

async function setReclaim(
  { client, permitId, signal }: Writing,
  key: string,
  { metadata }: Backing,
  policy: "Retain" | "Delete",
  tainted: boolean,
): Promise<void> {
  await client.merge("persistentvolumes", { name: metadata.name }, {
    metadata: {
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      ...volumeMarks(permitId, key, tainted),
    },
    spec: { persistentVolumeReclaimPolicy: policy },
  }, signal);
}
