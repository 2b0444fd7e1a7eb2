/** Volumes: claim and backing together (DESIGN 8: gone only when both are). */
import { volumeName } from "../../../core/names.ts";
import type { ObservedVolume } from "../../../core/observed.ts";
import { parseVolumeKey } from "../../../core/volume.ts";
import { isOurs, NOTE, note } from "../marks.ts";
import type { Stored } from "../wire.ts";
import { finalizersOf, seenOf } from "./scope.ts";
import type { Snapshot } from "./snapshot.ts";
import { pendingOf } from "./trouble.ts";

type Claim = Stored<"persistentvolumeclaims">;
type Backing = Stored<"persistentvolumes">;

/** The key of a claim or backing of ours; for a claim its name must prove it. */
function keyOf(object: Claim | Backing, permitId: string): string | null {
  return isOurs(object, permitId) ? note(object, NOTE.volumeKey) : null;
}

/** All volumes of which claim or backing is left, in the order of their keys. */
export function volumesOf(snapshot: Snapshot): ObservedVolume[] {
  const { claims, volumes, permitId } = snapshot;
  const ours = claims.filter((claim) => {
    const key = keyOf(claim, permitId);
    return key !== null && volumeName(key) === claim.metadata.name;
  });
  const claimed = new Set(ours.map((claim) => keyOf(claim, permitId)));
  const orphans = volumes.filter((backing) => {
    const key = keyOf(backing, permitId);
    return key !== null && !claimed.has(key);
  });
  return [
    ...ours.map((claim) => claimedVolume(claim, snapshot)),
    ...orphans.map((backing) => orphanedVolume(backing, permitId)),
  ].sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}

/** The volume behind a claim of ours: as the claim names it, and as it names the claim. */
function backingOf(claim: Claim, volumes: Backing[]): Backing | null {
  return volumes.find(({ metadata, spec }) =>
    metadata.name === claim.spec?.volumeName &&
    (spec?.claimRef?.uid ?? claim.metadata.uid) === claim.metadata.uid
  ) ?? null;
}

function isTainted(...objects: (Claim | Backing | null)[]): boolean {
  return objects.some((object) => object !== null && note(object, NOTE.tainted) === "true");
}

/** Names of the claims that hold sensitive data, by their own mark or that of what backs them (invariant 3: either counts). */
export function taintedClaims(
  { claims, volumes }: Pick<Snapshot, "claims" | "volumes">,
): ReadonlySet<string> {
  return new Set(
    claims.filter((claim) => isTainted(claim, backingOf(claim, volumes))).map(({ metadata }) =>
      metadata.name
    ),
  );
}

/**
 * Kept by its policy, and marked so that it would be found and known without its claim: a class may retain of its
 * own accord, and a crash may have come between the claim's taint and this one's.
 */
function isRetained(backing: Backing, claim: Claim, permitId: string): boolean {
  return backing.spec?.persistentVolumeReclaimPolicy === "Retain" &&
    keyOf(backing, permitId) === keyOf(claim, permitId) && (!isTainted(claim) || isTainted(backing));
}

function claimedVolume(claim: Claim, snapshot: Snapshot): ObservedVolume {
  const key = keyOf(claim, snapshot.permitId) ?? "";
  const backing = backingOf(claim, snapshot.volumes);
  const { state, detail, trouble = null } = claimState(claim, backing, snapshot);
  return {
    id: parseVolumeKey(key),
    key,
    name: claim.metadata.name,
    state,
    retained: backing !== null && isRetained(backing, claim, snapshot.permitId),
    tainted: isTainted(claim, backing),
    size: claim.spec?.resources?.requests?.["storage"] ?? "",
    detail,
    trouble,
    seen: seenOf(claim),
  };
}

function claimState(
  claim: Claim,
  backing: Backing | null,
  snapshot: Snapshot,
): Pick<ObservedVolume, "state" | "detail" | "trouble"> {
  const name = `PVC ${claim.metadata.name}`;
  if (claim.metadata.deletionTimestamp !== undefined) {
    const users = podsUsing(claim.metadata.name, snapshot);
    const held = [finalizersOf(claim), users.length === 0 ? null : `in use by pod ${users.join(", ")}`];
    return {
      state: "terminating",
      detail: `${name} is Terminating: ${held.filter((text) => text !== null).join(", ")}`,
    };
  }
  const phase = claim.status?.phase;
  if (phase === "Lost" || (phase === "Bound" && backing === null)) {
    return {
      state: "lost",
      detail: `${name} is bound to PV ${claim.spec?.volumeName ?? "?"}, which no longer exists`,
    };
  }
  if (backing?.metadata.deletionTimestamp !== undefined) {
    return {
      state: "terminating",
      detail: `PV ${backing.metadata.name} is Terminating: ${finalizersOf(backing) ?? "no finalizer"}`,
    };
  }
  if (phase === "Bound") return { state: "bound", detail: null };
  const { detail, trouble } = pendingOf(claim, snapshot);
  return { state: "pending", detail: `${name} is Pending: ${detail}`, trouble };
}

/** Pods that keep a claim from going: those that have not ended. */
function podsUsing(claimName: string, { pods }: Snapshot): string[] {
  return pods.filter(({ spec, status }) =>
    status?.phase !== "Succeeded" && status?.phase !== "Failed" &&
    (spec?.volumes ?? []).some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === claimName)
  ).map(({ metadata }) => metadata.name);
}

/** A volume whose claim is gone: kept and to be rebound, or on its way out. */
function orphanedVolume(backing: Backing, permitId: string): ObservedVolume {
  const key = keyOf(backing, permitId) ?? "";
  const { metadata, spec, status } = backing;
  const retained = spec?.persistentVolumeReclaimPolicy === "Retain";
  const isLeaving = metadata.deletionTimestamp !== undefined || !retained;
  const said = [status?.phase ?? "unknown", status?.message].filter((text) =>
    text !== undefined && text !== ""
  ).join(": ");
  const held = finalizersOf(backing);
  const detail = isLeaving
    ? `PV ${metadata.name} is being deleted (${[said, held].filter((text) => text !== null).join("; ")})`
    : `PV ${metadata.name} is ${said}; its claim is gone, its data is kept`;
  return {
    id: parseVolumeKey(key),
    key,
    name: volumeName(key),
    state: isLeaving ? "terminating" : "released",
    retained,
    tainted: isTainted(backing),
    size: spec?.capacity?.["storage"] ?? "",
    detail,
    seen: seenOf(backing),
  };
}
