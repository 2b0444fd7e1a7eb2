/**
 * Judges the invariants of DESIGN 5 on the truth of the cluster, at each change and at its instant: what a
 * simulation asks after every step, and a demo at its end.
 */
import type { LabCluster } from "./cluster.ts";
import type { LabBacking, LabScope } from "./objects.ts";
import { type TruePod, truthOf, waysOut } from "./truth.ts";
import { runningPods, type World } from "./world.ts";

/** Violations kept: after so many of them nobody reads on. */
const VIOLATIONS_MAX = 1_000;

/** One invariant that did not hold at one instant; reported once per target. */
export interface Violation {
  /** Number in DESIGN 5. */
  invariant: 1 | 2 | 3 | 4 | 6;
  permitId: string;
  target: string;
  message: string;
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
      const pods = runningPods(scope).map((pod) => truthOf(world, scope, pod));
      for (const pod of pods) this.#judgePod(world, scope, pod);
      this.#judgeBarrier(world, scope, pods);
    }
    this.#judgeBackings(world);
  }

  #report(world: World, violation: Omit<Violation, "atMs">): void {
    const once = JSON.stringify([violation.invariant, violation.permitId, violation.target]);
    if (this.#reported.has(once) || this.#violations.length >= VIOLATIONS_MAX) return;
    this.#reported.add(once);
    this.#violations.push({ ...violation, atMs: world.nowMs });
  }

  #judgePod(world: World, scope: LabScope, truth: TruePod): void {
    const { permitId } = scope;
    const { pod, mounts } = truth;
    const target = `pod ${pod.name} (${pod.uid})`;
    const sensitive = mounts.filter((mount) => mount.sensitive);
    const out = waysOut(truth);
    if (sensitive.length > 0 && out.length > 0 && !isAirlock(truth)) {
      const message = `has ${sensitive.map(({ volumeKey }) => volumeKey).join(", ")} and ways out: ${
        out.join(", ")
      }`;
      this.#report(world, { invariant: 1, permitId, target, message });
    }
    for (const { volumeKey, backing, writable } of sensitive) {
      const claim = Object.values(scope.claims).find(({ key }) => key === volumeKey);
      if (!writable || claim?.tainted || backing === null || world.isSensitive(backing.id.volume)) continue;
      const message = `writes ${volumeKey} beside sensitive data, and the volume is not marked`;
      this.#report(world, { invariant: 3, permitId, target, message });
    }
    const opening = Object.values(scope.policies).find(({ rules }) => rules.selects === pod.belongs.key)
      ?.opening;
    if (sensitive.length > 0 && pod.belongs.to === "workspace" && !pod.template.gated) {
      this.#report(world, { invariant: 6, permitId, target, message: `has data and passed no gate` });
    }
    if (opening?.openedFor === pod.uid && sensitive.length > 0 && !pod.proven) {
      const message = `was made reachable before its isolation was shown`;
      this.#report(world, { invariant: 6, permitId, target, message });
    }
  }

  /** No pod has data beside a pod with a way out when both mount one volume (invariant 2's barrier). */
  #judgeBarrier(world: World, scope: LabScope, pods: TruePod[]): void {
    const holders = pods.filter(({ mounts }) => mounts.some(({ sensitive }) => sensitive));
    for (const open of pods.filter((pod) => waysOut(pod).length > 0)) {
      for (const holder of holders.filter((candidate) => candidate !== open)) {
        const keys = new Set(open.mounts.map(({ volumeKey }) => volumeKey));
        const shared = holder.mounts.find(({ volumeKey }) => keys.has(volumeKey));
        if (shared === undefined) continue;
        this.#report(world, {
          invariant: 2,
          permitId: scope.permitId,
          target: `pod ${holder.pod.name} (${holder.pod.uid})`,
          message: `has data and shares ${shared.volumeKey} with ${open.pod.name}, which has ways out: ${
            waysOut(open).join(", ")
          }`,
        });
      }
    }
  }

  #judgeBackings(world: World): void {
    const present = new Map(Object.values(world.state.backings).map((backing) => [backing.uid, backing]));
    for (const [uid, gone] of this.#backings) {
      if (present.has(uid) || !gone.destroyedByDriver || this.#mayDestroy(gone.permitId)) continue;
      const lost = gone.id.volume === "uploads" ? withoutCopy(world, gone) : [gone.key];
      if (lost.length === 0) continue;
      this.#report(world, {
        invariant: 4,
        permitId: gone.permitId,
        target: `volume ${gone.key} (${uid})`,
        message: `was destroyed, and with it ${lost.slice(0, 3).join(", ")}`,
      });
    }
    this.#backings = present;
  }
}

/** The one exception to invariant 1 (DESIGN 4): uploads of its own holder, and nothing leaves. */
function isAirlock({ pod, mounts, leaves, connections }: TruePod): boolean {
  const owner = pod.belongs.key.slice(pod.belongs.key.indexOf("/") + 1);
  return leaves.length === 0 &&
    connections.every((end) => end.startsWith("from ") && end !== "from stranger") &&
    mounts.every(({ backing }) => backing?.id.volume === "uploads" && backing.id.owner === owner);
}

/** Files of an uploads volume of which no other volume of the permit has the text. */
function withoutCopy(world: World, uploads: LabBacking): string[] {
  const kept = new Set(
    Object.values(world.state.backings).filter(({ permitId }) => permitId === uploads.permitId)
      .flatMap(({ files }) => Object.values(files)).map(({ text }) => text),
  );
  return Object.entries(uploads.files).filter(([, { text }]) => !kept.has(text)).map(([path]) => path);
}
