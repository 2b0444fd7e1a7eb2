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

/** One invariant that did not hold at one instant; reported once per target. */
export interface Violation extends Breach {
  permitId: string;
  atMs: number;
}

/** What a judge must be told. */
export interface JudgeOptions {
  /** Whether the permit's data may be destroyed, because it was deleted; absent: never but for consolidated uploads. */
  mayDestroy?: (permitId: string) => boolean;
}

/** Watches one cluster from its making until {@link LabJudge.close}. */
export class LabJudge {
  readonly #violations: Violation[] = [];
  readonly #reported = new Set<string>();
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

  /** All violations so far, oldest first. */
  violations(): Violation[] {
    this.#cluster.advance();
    return [...this.#violations];
  }

  /** Stops watching. */
  close(): void {
    this.#release();
  }

  #look(world: World, permitIds: ReadonlySet<string> | null): void {
    for (const scope of Object.values(world.state.scopes)) {
      if (permitIds !== null && !permitIds.has(scope.permitId)) continue;
      const truths = runningPods(scope).map((pod) => truthOf(world, scope, pod));
      const instances = truths.map((truth) => guardedTruth(world, scope, truth));
      this.#judge(world, scope.permitId, { instances, lost: [] });
    }
    this.#judgeBackings(world);
  }

  #judge(world: World, permitId: string, state: GuardedState): void {
    for (const breach of breachesOf(state)) {
      const once = JSON.stringify([breach.invariant, permitId, breach.target]);
      if (this.#reported.has(once) || this.#violations.length >= VIOLATIONS_MAX) continue;
      this.#reported.add(once);
      this.#violations.push({ ...breach, permitId, atMs: world.nowMs });
    }
  }

  #judgeBackings(world: World): void {
    const present = new Map(Object.values(world.state.backings).map((backing) => [backing.uid, backing]));
    for (const [uid, gone] of this.#backings) {
      if (present.has(uid) || !gone.destroyedByDriver || this.#mayDestroy(gone.permitId)) continue;
      const lost = gone.id.volume === "uploads" ? withoutCopy(world, gone) : [gone.key];
      if (lost.length === 0) continue;
      const why = `was destroyed, and with it ${lost.slice(0, 3).join(", ")}`;
      this.#judge(world, gone.permitId, {
        instances: [],
        lost: [{ volumeKey: `${gone.key} (${uid})`, why }],
      });
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
