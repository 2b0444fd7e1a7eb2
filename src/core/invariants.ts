/**
 * The invariants of DESIGN 5 that a state can break, each once. The planner foresees with them, the runner asserts them
 * before it gives, drift reports them, the simulation judges every instant by them. Invariants 5, 7 and 9 are about what is
 * done, not about what is, as is most of 8: docs/reliability.md says where each is kept and shown.
 */
import { isWayOut } from "./phase.ts";
import type { DesiredWorkspace, Mount } from "./workspace.ts";

/** A mount as far as invariants go. */
export interface GuardedMount {
  volumeKey: string;
  /** Name in volumes.yaml, and whose it is. */
  volume: string;
  owner: string | null;
  writes: boolean;
  /** Holds sensitive data, by rule or by taint. */
  sensitive: boolean;
  /** Sensitive by rule or marked as tainted: whoever looks at the volume alone knows. */
  known: boolean;
}

/** A way out (DESIGN 4): egress of any kind, or inbound from others than the gateway. */
export interface WayOut {
  /** "to proxy", "NetworkPolicy let-me-out": for a person. */
  text: string;
  /** Only inbound from a holder's listed addresses; all else is false. */
  isAllowList: boolean;
}

/** A pod (or VM) as far as invariants go. */
export interface GuardedInstance {
  uid: string;
  /** "pod research-a-0", for a person. */
  name: string;
  /** The workspace's key and owner. */
  key: string;
  owner: string;
  /** Empty while nothing in it can see data. */
  mounts: GuardedMount[];
  waysOut: WayOut[];
  /** Its network was opened for it. */
  isOpened: boolean;
  /** Evidence of its isolation is kept. */
  isProven: boolean;
  /** It passed an isolation gate, or needs none. */
  isGated: boolean;
}

/** One permit at one instant. */
export interface GuardedState {
  instances: GuardedInstance[];
  /** Data volumes that are gone although nobody may have destroyed them: key and what is known. */
  lost: { volumeKey: string; why: string }[];
  /** Pods of the permit that use what does not bear its mark: the pod, and what it uses. Absent: nobody looked. */
  strangers?: { target: string; what: string }[];
}

/** One thing that must not be. */
export interface Breach {
  /** Number in DESIGN 5. */
  invariant: Invariant["number"];
  /** The pod or volume. */
  target: string;
  message: string;
}

/** One invariant as a predicate. */
export interface Invariant {
  number: 1 | 2 | 3 | 4 | 6 | 8;
  name: string;
  /** Why it must hold. */
  reason: string;
  /** The rule that it comes from. */
  source: string;
  /** What breaks it; empty: it holds. */
  breaches(state: GuardedState): Omit<Breach, "invariant">[];
}

/** All of them, by number. */
export const INVARIANTS: readonly Invariant[] = [
  {
    number: 1,
    name: "no data beside a way out",
    reason: "what a running workspace can read it could send away",
    source: "DESIGN 5.1; blueprint row ANALYSIS_ACTIVE: isolated first, proven, then data",
    breaches: ({ instances }) =>
      instances.filter((instance) => isExposed(instance)).map((instance) => ({
        target: named(instance),
        message: `has ${sensitiveKeys(instance).join(", ")} and ways out: ${wordsOf(instance)}`,
      })),
  },
  {
    number: 2,
    name: "a barrier across the permit",
    reason: "a shared volume carries data from who may read it to who may send it",
    source: "DESIGN 5.2; blueprint row WORKSPACE_SETUP_REVIEW_PENDING: internet is cut before anything else",
    breaches: ({ instances }) =>
      instances.flatMap((holder) => {
        if (sensitiveKeys(holder).length === 0) return [];
        const own = new Set(holder.mounts.map(({ volumeKey }) => volumeKey));
        return instances.filter((other) => other !== holder && other.waysOut.length > 0).flatMap((other) => {
          const shared = other.mounts.find(({ volumeKey }) => own.has(volumeKey));
          return shared === undefined ? [] : [{
            target: named(holder),
            message: `has data and shares ${shared.volumeKey} with ${other.name}, which has ways out: ${
              wordsOf(other)
            }`,
          }];
        });
      }),
  },
  {
    number: 3,
    name: "what is written beside data is marked as data",
    reason: "a copy of data is data, also after a phase in which nobody looks",
    source: "DESIGN 5.3; blueprint row ANALYSIS_ACTIVE: home and project beside prepared",
    breaches: ({ instances }) =>
      instances.flatMap((instance) => {
        if (sensitiveKeys(instance).length === 0) return [];
        return instance.mounts.filter(({ writes, known }) => writes && !known).map(({ volumeKey }) => ({
          target: named(instance),
          message: `writes ${volumeKey} beside sensitive data, and the volume is not marked`,
        }));
      }),
  },
  {
    number: 4,
    name: "no data is lost",
    reason: "nobody can collect a patient's data twice",
    source: "DESIGN 5.4; blueprint row permit.deleted: the only event that destroys",
    breaches: ({ lost }) =>
      lost.map(({ volumeKey, why }) => ({ target: `volume ${volumeKey}`, message: why })),
  },
  {
    number: 6,
    name: "no proof, no data and nobody let in",
    reason: "a policy that nobody enforces isolates nothing",
    source: "DESIGN 5.6 and 8: the isolation gate",
    breaches: ({ instances }) =>
      instances.filter((instance) => sensitiveKeys(instance).length > 0).flatMap((instance) => [
        ...(instance.isGated ? [] : [{ target: named(instance), message: "has data and passed no gate" }]),
        ...(instance.isOpened && !instance.isProven
          ? [{ target: named(instance), message: "was made reachable before its isolation was shown" }]
          : []),
      ]),
  },
  {
    number: 8,
    name: "nothing of WPS's on what is not WPS's",
    reason: "what somebody else made ends, is read and is written as somebody else wishes",
    source: "DESIGN 5.8: WPS touches only objects that carry its ownership mark for that permit",
    breaches: ({ strangers = [] }) =>
      strangers.map(({ target, what }) => ({ target, message: `uses what is not WPS's: ${what}` })),
  },
];

/** Everything that a state breaks, by number. */
export function breachesOf(state: GuardedState): Breach[] {
  return INVARIANTS.flatMap(({ number, breaches }) =>
    breaches(state).map((breach) => ({ invariant: number, ...breach }))
  );
}

/** "pod research-a-0 has prepared and ways out: to proxy (invariant 1)". */
export function describeBreach({ invariant, target, message }: Breach): string {
  return `${target} ${message} (invariant ${invariant})`;
}

/** The ways out of an opened network of a posture (DESIGN 4); none for `isolated`. */
export function waysOutOf(posture: DesiredWorkspace["posture"]): WayOut[] {
  if (!isWayOut(posture)) return [];
  return [{ text: `an opened ${posture} network`, isAllowList: posture === "inbound-allowlist" }];
}

/**
 * Invariant 1 on a workspace as it is wished or seen: the sensitive mounts that it has beside a way out while it runs.
 * Empty: it may run.
 * `isSensitive` judges a volume key with taint taken into account.
 */
export function dataBesideWayOut(
  { key, owner, power, posture, mounts }: Pick<
    DesiredWorkspace,
    "key" | "owner" | "power" | "posture" | "mounts"
  >,
  isSensitive: (volumeKey: string) => boolean,
): Mount[] {
  if (power !== "running") return [];
  const sensitive = mounts.filter(({ volumeKey }) => isSensitive(volumeKey));
  const wished = {
    uid: "",
    name: key,
    key,
    owner,
    mounts: mounts.map((mount) => guardedMount(mount, isSensitive(mount.volumeKey), true)),
    waysOut: waysOutOf(posture),
    isOpened: true,
    isProven: true,
    isGated: true,
  };
  return isExposed(wished) ? sensitive : [];
}

/** A mount with what is known of its volume. */
export function guardedMount(
  { volume, volumeKey, mode }: Mount,
  sensitive: boolean,
  known: boolean,
): GuardedMount {
  return {
    volumeKey,
    volume: volume.volume,
    owner: volume.owner,
    writes: mode !== "ro",
    sensitive,
    known,
  };
}

/** Data and a way out, but for the one exception of DESIGN 4: an airlock that mounts only its own holder's uploads. */
function isExposed({ owner, mounts, waysOut }: GuardedInstance): boolean {
  if (waysOut.length === 0 || !mounts.some(({ sensitive }) => sensitive)) return false;
  const isAirlockOfItsOwn = waysOut.every(({ isAllowList }) => isAllowList) &&
    mounts.every((mount) => mount.volume === "uploads" && mount.owner === owner);
  return !isAirlockOfItsOwn;
}

function sensitiveKeys({ mounts }: GuardedInstance): string[] {
  return mounts.filter(({ sensitive }) => sensitive).map(({ volumeKey }) => volumeKey);
}

function wordsOf({ waysOut }: GuardedInstance): string {
  return waysOut.map(({ text }) => text).join(", ");
}

function named({ name, uid }: GuardedInstance): string {
  return `${name} (${uid})`;
}
