/**
 * Judges the invariants of DESIGN 5 on the truth of the cluster, at each change and at its instant: what a
 * simulation asks after every step, and a demo at its end.
 */
import { type Breach, breachesOf, type GuardedInstance, type GuardedState } from "../../core/invariants.ts";
import { parseVolumeKey } from "../../core/volume.ts";
import type { LabCluster } from "./cluster.ts";
import { manifestPath } from "../../core/step.ts";
import { linkLine } from "./files.ts";
import type { LabBacking, LabScope } from "./objects.ts";
import { type TruePod, truthOf, waysOut } from "./truth.ts";
import { runningPods, type World } from "./world.ts";

/** Violations kept: after so many of them nobody reads on. */
const VIOLATIONS_MAX = 1_000;

/** One invariant that did not hold for one target, from an instant to another. */
export interface Violation extends Breach {
  permitId: string;
  /** When it began, in epoch milliseconds. */
  atMs: number;
  /** When it was seen to hold again; null: not yet, or never, as with data that is lost. */
  untilMs: number | null;
}

/** What a judge must be told. */
export interface JudgeOptions {
  /** Whether the permit's data may be destroyed, because it was deleted; absent: never but for consolidated uploads. */
  mayDestroy?: (permitId: string) => boolean;
}

/** Watches one cluster from its making until {@link LabJudge.close}. */
export class LabJudge {
  readonly #violations: Violation[] = [];
  /** By permit: what does not hold now, by invariant and target. */
  readonly #open = new Map<string, Map<string, Violation>>();
  readonly #mayDestroy: (permitId: string) => boolean;
  readonly #cluster: LabCluster;
  readonly #release: () => void;
  /** Backings at the last look, by uid, to notice what vanished. */
  #backings = new Map<string, LabBacking>();

  constructor(cluster: LabCluster, { mayDestroy = () => false }: JudgeOptions = {}) {
    this.#cluster = cluster;
    this.#mayDestroy = mayDestroy;
    this.#release = cluster.onChange((world, permitIds) => this.#look(world, permitIds));
    cluster.read((world) => this.#look(world, null));
  }

  /** All violations so far, oldest first; one that came again after it had ended stands there again. */
  violations(): Violation[] {
    this.#cluster.advance();
    return this.#violations.map((violation) => ({ ...violation }));
  }

  /** Stops watching. */
  close(): void {
    this.#release();
  }

  #look(world: World, permitIds: ReadonlySet<string> | null): void {
    const present = new Set<string>();
    for (const scope of Object.values(world.state.scopes)) {
      present.add(scope.permitId);
      if (permitIds !== null && !permitIds.has(scope.permitId)) continue;
      const truths = runningPods(scope).map((pod) => truthOf(world, scope, pod));
      const instances = truths.map((truth) => guardedTruth(world, scope, truth));
      this.#judge(world, scope.permitId, { instances, lost: [] });
    }
    for (const permitId of this.#open.keys()) {
      if (!present.has(permitId)) this.#judge(world, permitId, { instances: [], lost: [] });
    }
    this.#judgeBackings(world);
  }

  /** Opens what is new, and closes what holds again. */
  #judge({ nowMs }: World, permitId: string, state: GuardedState): void {
    const before = this.#open.get(permitId);
    const now = new Map<string, Violation>();
    for (const breach of breachesOf(state)) {
      const key = JSON.stringify([breach.invariant, breach.target]);
      now.set(key, before?.get(key) ?? this.#note({ ...breach, permitId, atMs: nowMs, untilMs: null }));
    }
    for (const [key, violation] of before ?? []) if (!now.has(key)) violation.untilMs = nowMs;
    if (now.size > 0) this.#open.set(permitId, now);
    else this.#open.delete(permitId);
  }

  #note(violation: Violation): Violation {
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(violation);
    return violation;
  }

  #judgeBackings(world: World): void {
    const present = new Map(Object.values(world.state.backings).map((backing) => [backing.uid, backing]));
    for (const [uid, gone] of this.#backings) {
      if (present.has(uid) || !gone.destroyedByDriver || this.#mayDestroy(gone.permitId)) continue;
      const lost = gone.id.volume === "uploads" ? withoutCopy(world, gone) : [gone.key];
      if (lost.length === 0) continue;
      const why = `was destroyed, and with it ${lost.slice(0, 3).join(", ")}`;
      const state = { instances: [], lost: [{ volumeKey: `${gone.key} (${uid})`, why }] };
      for (const breach of breachesOf(state)) {
        this.#note({ ...breach, permitId: gone.permitId, atMs: world.nowMs, untilMs: null });
      }
    }
    this.#backings = present;
  }
}

/** A pod's truth in the words of the invariants. */
function guardedTruth(world: World, scope: LabScope, truth: TruePod): GuardedInstance {
  const { pod, mounts } = truth;
  const { key } = pod.belongs;
  const opening = Object.values(scope.policies).find(({ rules }) => rules.selects === key)?.opening;
  return {
    uid: pod.uid,
    name: `pod ${pod.name}`,
    key,
    owner: key.slice(key.indexOf("/") + 1),
    mounts: mounts.map(({ volumeKey, writable, sensitive, backing }) => {
      const { volume, owner } = backing?.id ?? parseVolumeKey(volumeKey);
      const claim = Object.values(scope.claims).find((candidate) => candidate.key === volumeKey);
      const known = backing === null || claim?.tainted === true || world.isSensitive(volume);
      return { volumeKey, volume, owner, writes: writable, sensitive, known };
    }),
    waysOut: waysOut(truth).map((text) => ({
      text,
      isAllowList: text.startsWith("from ") && text !== "from stranger",
    })),
    isOpened: opening?.openedFor === pod.uid,
    isProven: pod.proven,
    isGated: pod.template.gated,
  };
}

/**
 * Files of an uploads volume of which no other volume of the permit has the text, and links that the manifest of their
 * batch does not name as left out.
 */
function withoutCopy(world: World, uploads: LabBacking): string[] {
  const kept = Object.values(world.state.backings).filter((backing) =>
    backing.permitId === uploads.permitId && backing.uid !== uploads.uid
  );
  const texts = new Set(kept.flatMap(({ files }) => Object.values(files)).map(({ text }) => text));
  const manifest = manifestPath(`${uploads.id.owner}/batch-${uploads.id.generation}`);
  const leftOut = new Set(kept.flatMap(({ files }) => files[manifest]?.text.split("\n") ?? []));
  return Object.entries(uploads.files).filter(([path, { text, link }]) =>
    link === undefined ? !texts.has(text) : !leftOut.has(`# left out: ${linkLine(path, link)}`)
  ).map(([path]) => path);
}
