/**
 * DESIGN 5 judged at each instant from the raw truth of the simulated cluster: mounts, enforced rules, open connections.
 * A second judge, which knows volumes and ways out as DESIGN 4 words them and uses nothing of the planner's predicates:
 * a mistake in those must not blind whoever looks for mistakes.
 */
import type { LabCluster } from "../../src/drivers/lab/cluster.ts";
import type { LabBacking, LabPod, LabRules, LabScope } from "../../src/drivers/lab/objects.ts";
import type { World as LabWorld } from "../../src/drivers/lab/world.ts";

/** DESIGN 4: sensitive whatever happened to them. */
const ALWAYS_SENSITIVE = ["uploads", "raw", "prepared", "outputs", "staff-home"];
const OUTSIDE = ["internet", "proxy", "dns", "canary"];
/** The policy that denies all pods of a permit. */
export const GUARD = "default-deny";

/** A rule broken from an instant to another. */
export interface Broken {
  invariant: number;
  permitId: string;
  /** The pod or volume. */
  uid: string;
  text: string;
  fromMs: number;
  /** Null: still, or for ever. */
  untilMs: number | null;
  /** By nothing but a way out that somebody opened behind the service's back. */
  isExcused: boolean;
}

/** A running pod that has data and a way out. */
export interface Exposed {
  uid: string;
  name: string;
  /** Its isolation is on record and people get to it: whom the service probes. */
  isProbed: boolean;
  sinceMs: number;
}

/** Ends that a pod reaches or reached, "to internet", with whether WPS's own rules alone let it through. */
type Ways = Map<string, { byService: boolean }>;

interface Use {
  pod: LabPod;
  ways: Ways;
  mounts: UsedMount[];
  hasData: boolean;
}

interface UsedMount {
  key: string;
  volume: string;
  owner: string;
  writes: boolean;
  data: boolean;
  marked: boolean;
}

/** Watches one cluster from its making. */
export class Witness {
  /** What was found broken, oldest first. */
  readonly found: Broken[] = [];
  /** Milliseconds of pods with data, and of these with a way out that was somebody else's doing. */
  dataMs = 0;
  excusedMs = 0;
  readonly #open = new Map<string, Map<string, Broken>>();
  readonly #ways = new Map<string, Ways>();
  readonly #exposed = new Map<string, Exposed[]>();
  /** By permit and the pod's uid; see {@link letOut}. */
  readonly #letOut = new Map<string, Map<string, { name: string; sinceMs: number }>>();
  readonly #counted = new Map<string, { atMs: number; data: number; excused: number }>();
  /** Policies that somebody else made or altered, and namespaces whose rules a node has forgotten, as "permit name". */
  readonly #sabotaged = new Set<string>();
  #backings = new Map<string, LabBacking>();
  readonly #cluster: LabCluster;
  readonly #mayDestroy: (permitId: string) => boolean;

  /** `mayDestroy`: the permit was deleted. */
  constructor(cluster: LabCluster, mayDestroy: (permitId: string) => boolean) {
    this.#cluster = cluster;
    this.#mayDestroy = mayDestroy;
    cluster.onChange((world, permitIds) => this.#look(world, permitIds));
  }

  /** From now on the ways out that this policy ({@link GUARD}; null: the lack of any rule) opens are somebody else's doing. */
  blame(permitId: string, policy: string | null): void {
    this.#sabotaged.add(`${permitId} ${policy}`);
  }

  /** Pods of a permit that have data and a way out now, whoever opened it. */
  exposed(permitId: string): readonly Exposed[] {
    return this.#exposed.get(permitId) ?? [];
  }

  /**
   * Names of running pods with data whom the policies let out as the API has them, whatever is enforced by now, and did
   * already at that instant.
   */
  letOut(permitId: string, atMs: number): string[] {
    this.#cluster.advance();
    return [...this.#letOut.get(permitId)?.values() ?? []].filter(({ sinceMs }) => sinceMs <= atMs)
      .map(({ name }) => name);
  }

  /** Pods of a permit that have data and get out at this instant, not only by what was connected once. */
  leaking(permitId: string): string[] {
    return this.#cluster.read(({ state }) => {
      const scope = Object.values(state.scopes).find((each) => each.owned && each.permitId === permitId);
      return this.exposed(permitId).filter(({ uid }) => {
        const pod = Object.values(scope?.pods ?? {}).find((each) => each.uid === uid);
        if (scope === undefined || pod === undefined) return false;
        const rules = selecting(Object.entries(scope.enforced), pod);
        return rules.length === 0 || rules.some(([, { egress }]) => egress !== "none");
      }).map(({ name }) => name);
    });
  }

  /** Whether it saw that invariant broken by that pod at that instant, excused or not. */
  saw(invariant: number, uid: string, atMs: number): boolean {
    return this.found.some((broken) =>
      broken.invariant === invariant && broken.uid === uid && broken.fromMs <= atMs &&
      (broken.untilMs === null || broken.untilMs >= atMs)
    );
  }

  #look(world: LabWorld, permitIds: ReadonlySet<string>): void {
    const scopes = Object.values(world.state.scopes).filter(({ owned }) => owned);
    for (const permitId of permitIds) {
      const scope = scopes.find((candidate) => candidate.permitId === permitId);
      const uses = scope === undefined
        ? []
        : Object.values(scope.pods).filter(({ phase }) => phase === "running")
          .map((pod) => this.#useOf(world, scope, pod));
      this.#judge(world.nowMs, permitId, scope, uses);
      this.#noteLetOut(world.nowMs, permitId, scope, uses);
      if (scope !== undefined) this.#forgive(scope);
    }
    this.#judgeLoss(world);
  }

  #judge(nowMs: number, permitId: string, scope: LabScope | undefined, uses: Use[]): void {
    const before = this.#open.get(permitId);
    const now = new Map<string, Broken>();
    const note = (invariant: number, { pod }: Use, text: string, isExcused = false): void => {
      const key = `${invariant} ${pod.uid} ${isExcused}`;
      const broken = before?.get(key) ??
        {
          invariant,
          permitId,
          uid: pod.uid,
          text: `pod ${pod.name} ${text}`,
          fromMs: nowMs,
          untilMs: null,
          isExcused,
        };
      if (before?.get(key) === undefined && !now.has(key)) this.found.push(broken);
      now.set(key, broken);
    };
    for (const use of uses) judgeUse(use, uses, scope, note);
    for (const [key, broken] of before ?? []) if (!now.has(key)) broken.untilMs = nowMs;
    this.#open.set(permitId, now);
    const earlier = this.#exposed.get(permitId) ?? [];
    const exposed = uses.filter((use) => isExposed(use, () => true)).map(({ pod }) => ({
      uid: pod.uid,
      name: pod.name,
      isProbed: pod.proven &&
        Object.values(scope?.policies ?? {}).some(({ opening }) => opening?.openedFor === pod.uid),
      sinceMs: earlier.find(({ uid }) => uid === pod.uid)?.sinceMs ?? nowMs,
    }));
    this.#exposed.set(permitId, exposed);
    this.#count(nowMs, permitId, uses.filter(({ hasData }) => hasData).length, exposed.length);
  }

  #noteLetOut(nowMs: number, permitId: string, scope: LabScope | undefined, uses: Use[]): void {
    const before = this.#letOut.get(permitId);
    const policies = Object.values(scope?.policies ?? {});
    const open = uses.filter(({ pod, hasData }) => {
      const rules = selecting(policies.map(({ name, rules }) => [name, rules]), pod);
      return hasData && (rules.length === 0 || rules.some(([, { egress }]) => egress !== "none"));
    });
    this.#letOut.set(
      permitId,
      new Map(open.map(({ pod: { uid, name } }) => [uid, before?.get(uid) ?? { name, sinceMs: nowMs }])),
    );
  }

  #count(nowMs: number, permitId: string, data: number, excused: number): void {
    const last = this.#counted.get(permitId);
    if (last !== undefined) {
      this.dataMs += last.data * (nowMs - last.atMs);
      this.excusedMs += last.excused * (nowMs - last.atMs);
    }
    this.#counted.set(permitId, { atMs: nowMs, data, excused });
  }

  #useOf(world: LabWorld, scope: LabScope, pod: LabPod): Use {
    const mounts = mountsOf(world, scope, pod);
    return { pod, mounts, ways: this.#waysOf(scope, pod), hasData: mounts.some(({ data }) => data) };
  }

  /** A connection that was opened once lives as long as its pod. */
  #waysOf(scope: LabScope, pod: LabPod): Ways {
    const ways: Ways = this.#ways.get(pod.uid) ?? new Map();
    this.#ways.set(pod.uid, ways);
    const note = (end: string, byService: boolean): void => {
      if (byService || !ways.has(end)) ways.set(end, { byService });
    };
    const rules = selecting(Object.entries(scope.enforced), pod);
    const isForeign = (name: string | null): boolean => this.#sabotaged.has(`${scope.permitId} ${name}`);
    // Canaries that were silent just while its gate tried them, and answered before and after: nobody can tell then that
    // nothing is enforced. The next probe must, which is vigilance's matter.
    const isUnenforced = isForeign(null) || pod.gate.blind;
    // What nothing selects, the guard would have.
    const isNobodys = isUnenforced || isForeign(GUARD);
    if (rules.length === 0) {
      for (const end of OUTSIDE) note(`to ${end}`, !isNobodys);
    }
    for (const [name, { egress }] of rules) {
      const ends = egress === "any" ? OUTSIDE : egress === "proxy" ? ["proxy"] : [];
      for (const end of ends) note(`to ${end}`, !isForeign(name));
    }
    const inward = rules.filter(([, { ingress }]) => ingress !== null);
    if (inward.length === 0) note("from anybody", !isNobodys);
    for (const [name, { ingress }] of inward) {
      if (ingress === "any") note("from anybody", !isForeign(name));
      if (Array.isArray(ingress)) { for (const range of ingress) note(`from ${range}`, !isForeign(name)); }
    }
    return ways;
  }

  /** What was mended is whole again: what opens from now on is the service's own doing. */
  #forgive({ permitId, policies, enforced }: LabScope): void {
    if (policies[GUARD]?.rules.egress === "none" && enforced[GUARD]?.egress === "none") {
      this.#sabotaged.delete(`${permitId} ${GUARD}`);
    }
    if (Object.keys(enforced).length > 0) this.#sabotaged.delete(`${permitId} null`);
  }

  /** Invariant 4: before the deletion nothing goes but uploads, whose every file has a copy. */
  #judgeLoss({ state, nowMs }: LabWorld): void {
    const left = Object.values(state.backings);
    const present = new Map(left.map((backing) => [backing.uid, backing]));
    for (const [uid, { owned, permitId, key, id, files }] of this.#backings) {
      if (present.has(uid) || !owned || this.#mayDestroy(permitId)) continue;
      const texts = new Set(
        left.filter((other) => other.permitId === permitId).flatMap((other) =>
          Object.values(other.files).map(({ text }) => text)
        ),
      );
      const lost = Object.values(files).some(({ text, link }) => link === undefined && !texts.has(text));
      if (id.volume === "uploads" && !lost) continue;
      const text = `volume ${key} is gone although its permit was not deleted`;
      const at = { fromMs: nowMs, untilMs: null };
      this.found.push({ invariant: 4, permitId, uid, text, ...at, isExcused: false });
    }
    this.#backings = present;
  }
}

function mountsOf(world: LabWorld, scope: LabScope, pod: LabPod): UsedMount[] {
  return pod.template.mounts.map(({ volumeKey, volume: { volume, owner }, mode }) => {
    const claim = Object.values(scope.claims).find(({ key }) => key === volumeKey);
    const backing = world.state.backings[claim?.backing ?? ""];
    const always = ALWAYS_SENSITIVE.includes(volume);
    return {
      key: volumeKey,
      volume,
      owner: owner ?? "",
      writes: mode !== "ro",
      data: always || backing?.touched === true,
      marked: always || claim?.tainted === true,
    };
  });
}

/** Of rules by their policy's name, those that select a pod. */
function selecting(rules: [string, LabRules][], pod: LabPod): [string, LabRules][] {
  const own = pod.belongs.to === "workspace" ? pod.belongs.key : null;
  return rules.filter(([, { selects, onlyPod }]) =>
    (selects === null || selects === own) && (onlyPod === null || onlyPod === pod.uid)
  );
}

type Note = (invariant: number, use: Use, text: string, isExcused?: boolean) => void;

function judgeUse(use: Use, uses: Use[], scope: LabScope | undefined, note: Note): void {
  const { pod, mounts, hasData, ways } = use;
  if (!hasData) return;
  const data = mounts.filter((mount) => mount.data).map(({ key }) => key).join(", ");
  const byService = ({ byService }: { byService: boolean }): boolean => byService;
  if (isExposed(use, () => true)) {
    note(1, use, `has ${data} and ways out: ${[...ways.keys()].join(", ")}`, !isExposed(use, byService));
  }
  for (const other of uses) {
    const shared = other.mounts.find(({ key }) => mounts.some((mount) => mount.key === key));
    if (other === use || shared === undefined || other.ways.size === 0) continue;
    const isExcused = ![...other.ways.values()].some(byService);
    note(2, use, `has data and shares ${shared.key} with ${other.pod.name}, which has ways out`, isExcused);
  }
  for (const { key, writes, marked } of mounts) {
    if (writes && !marked) note(3, use, `writes ${key} beside ${data}, and the volume is not marked`);
  }
  if (!pod.gate.passed) note(6, use, `has ${data} and passed no gate`);
  const opened = Object.values(scope?.policies ?? {}).some(({ opening }) => opening?.openedFor === pod.uid);
  if (opened && !pod.proven) note(6, use, `has ${data} and was made reachable before it was proven`);
}

/** DESIGN 4's one exception: an airlock with its own holder's uploads, and nothing but that holder's addresses coming in. */
function isExposed(
  { pod, mounts, hasData, ways }: Use,
  counts: (way: { byService: boolean }) => boolean,
): boolean {
  const open = [...ways].filter(([, way]) => counts(way)).map(([end]) => end);
  if (!hasData || open.length === 0) return false;
  const isAirlock = pod.belongs.key.startsWith("airlock/") &&
    mounts.every(({ volume, owner }) =>
      volume === "uploads" && owner === pod.belongs.key.slice("airlock/".length)
    );
  return !(isAirlock && open.every((end) => /^from \d/.test(end)));
}
