/** What the volume binder, claim protection and reclaim do: claims get backings, and backings outlive claims. */
import { volumeName } from "../../core/names.ts";
import type { LabBacking, LabClaim, LabPod, LabScope, LabTimer } from "./objects.ts";
import { runningPods, type World } from "./world.ts";

/** Binds, protects, releases; once nothing moves any more, it changes nothing. */
export function settleClaims(world: World, scope: LabScope): void {
  for (const claim of Object.values(scope.claims)) {
    if (claim.deletedAtMs !== null) {
      if (claim.finalizers.length === 0 && usersOf(scope, claim).length === 0) release(world, scope, claim);
    } else if (claim.phase === "pending" && !world.isScheduled("bind", claim.uid)) {
      if (claim.backing === null || world.state.backings[claim.backing]?.claimUid === null) {
        world.schedule("bind", scope.name, claim.uid, world.settings.bindMs);
      }
    } else if (claim.phase === "bound" && world.state.backings[claim.backing ?? ""] === undefined) {
      claim.phase = "lost";
      world.bump(claim);
    }
  }
  spreadTouch(world, scope);
}

/** The pods that keep a claim from going (kubernetes.io/pvc-protection): scheduled and not finished. */
export function usersOf(scope: LabScope, claim: LabClaim): LabPod[] {
  return Object.values(scope.pods).filter((pod) =>
    pod.node !== null && (pod.phase === "pending" || pod.phase === "running") &&
    pod.template.mounts.some(({ volumeKey }) => volumeName(volumeKey) === claim.name)
  );
}

function release(world: World, scope: LabScope, claim: LabClaim): void {
  delete scope.claims[claim.name];
  world.moved();
  const backing = claim.backing === null ? undefined : world.state.backings[claim.backing];
  if (backing === undefined || backing.claimUid !== claim.uid) return;
  backing.claimUid = null;
  if (backing.reclaim === "Delete") backing.deletedAtMs ??= world.nowMs;
  world.bump(backing);
}

/** Ends backings that were asked to go, or whose claim is gone and which nobody retains. */
export function settleBackings(world: World): void {
  for (const backing of Object.values(world.state.backings)) {
    if (backing.claimUid === null && backing.reclaim === "Delete" && backing.deletedAtMs === null) {
      backing.deletedAtMs = world.nowMs;
      world.bump(backing);
    }
    if (backing.deletedAtMs === null || backing.ending || backing.claimUid !== null) continue;
    if (backing.finalizers.length > 0) continue;
    backing.ending = true;
    world.schedule("reclaim", backing.scope, backing.uid, world.settings.reclaimMs);
  }
}

/** A volume's timer has come: a claim is bound, or a backing is gone. */
export function volumeTimer(world: World, scope: LabScope | undefined, timer: LabTimer): void {
  if (timer.kind === "reclaim") {
    const backing = Object.values(world.state.backings).find(({ uid }) => uid === timer.uid);
    if (backing === undefined) return;
    backing.ending = false;
    world.bump(backing);
    if (backing.finalizers.length === 0) delete world.state.backings[backing.name];
    return;
  }
  const claim = Object.values(scope?.claims ?? {}).find(({ uid }) => uid === timer.uid);
  if (scope === undefined || claim === undefined || claim.phase !== "pending" || claim.deletedAtMs !== null) {
    return;
  }
  bind(world, scope, claim);
}

function bind(world: World, scope: LabScope, claim: LabClaim): void {
  if (claim.backing === null) {
    const backing = provision(world, scope, claim);
    world.state.backings[backing.name] = backing;
    claim.backing = backing.name;
  } else {
    const backing = world.state.backings[claim.backing];
    if (backing === undefined || backing.claimUid !== null) return;
    backing.claimUid = claim.uid;
    world.bump(backing);
  }
  claim.phase = "bound";
  world.bump(claim);
}

function provision(world: World, scope: LabScope, claim: LabClaim): LabBacking {
  const uid = world.newUid();
  return {
    name: `pv-${uid.slice(-12)}`,
    uid,
    version: world.newVersion(),
    owned: claim.owned,
    deletedAtMs: null,
    finalizers: [],
    permitId: scope.permitId,
    scope: scope.name,
    id: claim.id,
    key: claim.key,
    size: claim.size,
    reclaim: "Delete",
    tainted: false,
    claimUid: claim.uid,
    touched: world.isSensitive(claim.id.volume),
    destroyedByDriver: false,
    ending: false,
    files: {},
  };
}

/** The backing of a volume that a pod has mounted. */
export function mountedBacking(world: World, scope: LabScope, volumeKey: string): LabBacking | undefined {
  const claim = scope.claims[volumeName(volumeKey)];
  return claim?.backing == null ? undefined : world.state.backings[claim.backing];
}

/**
 * The truth behind invariant 3: what a running pod mounts read-write beside sensitive data may hold it from now on,
 * and so what another pod mounts beside that.
 */
function spreadTouch(world: World, scope: LabScope): void {
  for (const pod of runningPods(scope)) {
    const mounts = pod.template.mounts.map((mount) => ({
      mode: mount.mode,
      backing: mountedBacking(world, scope, mount.volumeKey),
    }));
    if (!mounts.some(({ backing }) => backing?.touched)) continue;
    for (const { mode, backing } of mounts) {
      if (mode === "ro" || backing === undefined || backing.touched) continue;
      backing.touched = true;
      world.bump(backing);
    }
  }
}
