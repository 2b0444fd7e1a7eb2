/** Volumes as the API shows them: claims, and backings that outlived theirs. */
import type { ObservedVolume } from "../../core/observed.ts";
import type { LabBacking, LabClaim, LabScope } from "./objects.ts";
import { usersOf } from "./volumes.ts";
import { seenOf, type World } from "./world.ts";

/** All volumes of a permit, sorted by key. A claim that is not ours is no volume of the permit. */
export function observeVolumes(
  world: World,
  permitId: string,
  scope: LabScope | undefined,
): ObservedVolume[] {
  const claims = Object.values(scope?.claims ?? {}).filter(({ owned }) => owned);
  const backings = Object.values(world.state.backings).filter((backing) =>
    backing.permitId === permitId && backing.owned && claims.every(({ key }) => key !== backing.key)
  );
  return [
    ...claims.map((claim) => observeClaim(world, scope, claim)),
    ...backings.map(observeBacking),
  ].sort((a, b) => a.key < b.key ? -1 : 1);
}

function observeClaim(world: World, scope: LabScope | undefined, claim: LabClaim): ObservedVolume {
  const backing = claim.backing === null ? undefined : world.state.backings[claim.backing];
  const held = scope === undefined ? [] : usersOf(scope, claim).map(({ name }) => `in use by pod ${name}`);
  const stuck = claim.finalizers.map((finalizer) => `finalizer ${finalizer}`);
  const what = `persistentvolumeclaim ${claim.name}`;
  const isGoing = claim.deletedAtMs !== null;
  return {
    id: { ...claim.id },
    key: claim.key,
    name: claim.name,
    state: isGoing ? "terminating" : claim.phase,
    retained: backing?.reclaim === "Retain",
    tainted: claim.tainted,
    size: claim.size,
    detail: isGoing
      ? `${what}: ${[...held, ...stuck].join(", ") || "it is being removed"}`
      : claim.phase === "lost"
      ? `${what}: persistentvolume ${claim.backing} is gone`
      : claim.phase === "pending"
      ? `${what}: waiting to be bound`
      : null,
    seen: seenOf(claim),
  };
}

function observeBacking(backing: LabBacking): ObservedVolume {
  const isGoing = backing.deletedAtMs !== null;
  const what = `persistentvolume ${backing.name}`;
  const stuck = backing.finalizers.map((finalizer) => `finalizer ${finalizer}`);
  return {
    id: { ...backing.id },
    key: backing.key,
    name: backing.name,
    state: isGoing ? "terminating" : "released",
    retained: backing.reclaim === "Retain",
    tainted: backing.tainted,
    size: backing.size,
    detail: isGoing
      ? `${what}: ${stuck.join(", ") || "it is being removed"}`
      : `${what}: its claim is gone, its data is kept`,
    seen: seenOf(backing),
  };
}
