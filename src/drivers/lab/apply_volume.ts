/** The actions on volumes. */
import { permitName, volumeName } from "../../core/names.ts";
import type { ObservedVolume, Seen } from "../../core/observed.ts";
import type { Action } from "../../core/step.ts";
import type { DesiredVolume } from "../../core/volume.ts";
import { findScope, requireScope } from "./apply_scope.ts";
import { conflict, foreign, notFound, terminating } from "./faults.ts";
import type { LabBacking, LabClaim, LabScope } from "./objects.ts";
import type { Requests } from "./request.ts";
import type { World } from "./world.ts";

function labelOf(scope: string, key: string): string {
  return `persistentvolumeclaim ${scope}/${volumeName(key)}`;
}

/** The volume's claim. Throws when one of its name is not ours. */
function ownClaim(scope: LabScope, key: string): LabClaim | undefined {
  const claim = scope.claims[volumeName(key)];
  if (claim !== undefined && !claim.owned) throw foreign(labelOf(scope.name, key));
  return claim;
}

function backingOf(world: World, permitId: string, key: string): LabBacking | undefined {
  return Object.values(world.state.backings).find((backing) =>
    backing.permitId === permitId && backing.key === key && backing.owned
  );
}

/** Refuses what is not the object that was observed: its uid, and where data ends or is bound also its version. */
function assertSeen(
  what: string,
  object: { uid: string; version: number },
  seen: Seen,
  exact: boolean,
): void {
  if (seen?.uid !== object.uid) throw conflict(what, "it is not the one that was observed");
  if (exact && seen.version !== String(object.version)) {
    throw conflict(what, "it changed since it was observed");
  }
}

function addClaim(world: World, scope: LabScope, volume: DesiredVolume, backing: LabBacking | null): void {
  const name = volumeName(volume.key);
  scope.claims[name] = {
    name,
    uid: world.newUid(),
    version: world.newVersion(),
    owned: true,
    deletedAtMs: null,
    finalizers: [],
    id: { ...volume.id },
    key: volume.key,
    size: volume.size,
    tainted: volume.sensitive || (backing?.tainted ?? false),
    phase: "pending",
    backing: backing?.name ?? null,
  };
}

/** A claim; one that was observed is left as it is, but for a mark that it lacks. */
export async function ensureVolume(
  requests: Requests,
  permitId: string,
  { volume, seen }: Extract<Action, { kind: "ensure-volume" }>,
): Promise<string> {
  const name = permitName(permitId);
  const what = labelOf(name, volume.key);
  return await requests.write(what, name, (world) => {
    const scope = requireScope(world, permitId, `make volume ${volume.key}`);
    const claim = ownClaim(scope, volume.key);
    if (claim === undefined) {
      if (seen !== null) throw conflict(what, "it is gone");
      const left = backingOf(world, permitId, volume.key);
      if (left !== undefined && left.deletedAtMs !== null) {
        throw terminating(`make volume ${volume.key}`, `persistentvolume ${left.name}`);
      }
      if (left !== undefined) throw conflict(what, `its data waits on persistentvolume ${left.name}`);
      addClaim(world, scope, volume, null);
      return `${what} was made`;
    }
    assertSeen(what, claim, seen, false);
    if (claim.deletedAtMs !== null) throw terminating(`make volume ${volume.key}`, what);
    taint(world, claim, volume.sensitive);
    return `${what} stands`;
  });
}

/** Frees the backing of its vanished claim, then makes a claim that asks for exactly that backing. */
export async function rebindVolume(
  requests: Requests,
  permitId: string,
  { volume, seen }: Extract<Action, { kind: "rebind-volume" }>,
): Promise<string> {
  const name = permitName(permitId);
  const what = labelOf(name, volume.key);
  return await requests.write(what, name, (world) => {
    const scope = requireScope(world, permitId, `bind volume ${volume.key} again`);
    const claim = ownClaim(scope, volume.key);
    if (claim !== undefined) {
      if (claim.deletedAtMs !== null) throw terminating(`bind volume ${volume.key} again`, what);
      if (claim.backing === null || world.state.backings[claim.backing]?.uid !== seen?.uid) {
        throw conflict(what, "another claim has taken its place");
      }
      return `${what} stands`;
    }
    const backing = backingOf(world, permitId, volume.key);
    if (backing === undefined) throw notFound(`bind volume ${volume.key} again`, "its persistentvolume");
    assertSeen(`persistentvolume ${backing.name}`, backing, seen, true);
    if (backing.deletedAtMs !== null) {
      throw terminating(`bind volume ${volume.key} again`, `persistentvolume ${backing.name}`);
    }
    addClaim(world, scope, volume, backing);
    return `${what} was made for persistentvolume ${backing.name}`;
  });
}

function taint(world: World, object: { version: number; tainted: boolean }, wanted: boolean): void {
  if (!wanted || object.tainted) return;
  object.tainted = true;
  world.bump(object);
}

/** Invariant 3's mark on the claim, and on its backing. */
export async function taintVolume(
  requests: Requests,
  permitId: string,
  { volume, seen }: Extract<Action, { kind: "taint-volume" }>,
): Promise<string> {
  const name = permitName(permitId);
  const what = labelOf(name, volume.key);
  return await requests.write(what, name, (world) => {
    const scope = requireScope(world, permitId, `mark volume ${volume.key}`);
    const claim = ownClaim(scope, volume.key);
    if (claim === undefined) throw notFound(`mark volume ${volume.key}`, what);
    assertSeen(what, claim, seen, false);
    taint(world, claim, true);
    const backing = world.state.backings[claim.backing ?? ""];
    if (backing !== undefined) taint(world, backing, true);
    return `${what} is marked as sensitive`;
  });
}

/** Reclaim policy Retain, and the marks by which a released backing is known. */
export async function retainVolume(
  requests: Requests,
  permitId: string,
  { volume }: Extract<Action, { kind: "retain-volume" }>,
): Promise<string> {
  const what = `persistentvolume of ${volume.key}`;
  return await requests.write(what, permitName(permitId), (world) => {
    const scope = requireScope(world, permitId, `retain volume ${volume.key}`);
    const claim = ownClaim(scope, volume.key);
    const backing = world.state.backings[claim?.backing ?? ""];
    if (claim === undefined || backing === undefined) throw notFound(`retain volume ${volume.key}`, what);
    assertSeen(what, claim, volume.seen, false);
    taint(world, backing, claim.tainted);
    if (backing.reclaim !== "Retain") {
      backing.reclaim = "Retain";
      world.bump(backing);
    }
    return `persistentvolume ${backing.name} is retained`;
  });
}

/** Reclaim policy Delete, then the end of the claim; of a released volume the backing alone. */
export async function destroyVolume(
  requests: Requests,
  permitId: string,
  { volume }: Extract<Action, { kind: "destroy-volume" }>,
): Promise<string> {
  const name = permitName(permitId);
  const what = labelOf(name, volume.key);
  const backing = await requests.write(`persistentvolume of ${volume.key}`, name, (world) => {
    const { claim, backing } = meant(world, permitId, volume);
    if (backing === undefined || (backing.reclaim === "Delete" && backing.destroyedByDriver)) return backing;
    backing.reclaim = "Delete";
    backing.destroyedByDriver = true;
    if (claim === undefined) backing.deletedAtMs ??= world.nowMs;
    world.bump(backing);
    return backing;
  });
  return await requests.write(what, name, (world) => {
    const claim = meant(world, permitId, volume, backing?.uid).claim;
    if (claim === undefined) return `${what} is gone`;
    if (claim.deletedAtMs === null) {
      claim.deletedAtMs = world.nowMs;
      world.bump(claim);
    }
    return `${what} was asked to go`;
  });
}

/** What of an observed volume is left. Throws when something else has taken its place, or it changed since. */
function meant(
  world: World,
  permitId: string,
  volume: ObservedVolume,
  begun?: string,
): { claim?: LabClaim; backing?: LabBacking } {
  const scope = findScope(world, permitId);
  const claim = scope === null ? undefined : ownClaim(scope, volume.key);
  if (claim !== undefined) {
    assertSeen(labelOf(scope?.name ?? "", volume.key), claim, volume.seen, true);
    return { claim, backing: world.state.backings[claim.backing ?? ""] };
  }
  const backing = backingOf(world, permitId, volume.key);
  if (backing === undefined || backing.uid === begun) return {};
  assertSeen(`persistentvolume ${backing.name}`, backing, volume.seen, false);
  return { backing };
}
