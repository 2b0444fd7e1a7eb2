/** Ways out that somebody opens behind the service's back, and what becomes of them. */
import { permitName } from "../../src/core/names.ts";
import type { LabTimer } from "../../src/drivers/lab/objects.ts";
import type { SeededRandom } from "../seeded_random.ts";
import { GUARD } from "./witness.ts";
import type { World } from "./world.ts";

/** How long one stands before it is shut, and again before a person lets the permit go on. */
const LASTS_MIN_MS = 1_000, LASTS_MAX_MS = 180_000;
/** Whoever opens a way out shuts it after a while whether it was noticed or not, in this share of cases. */
const UNNOTICED = 0.4;
/** Otherwise it stays until nothing with data is left behind it, looked at this often, or for this long. */
const NOTICED_LOOK_MS = 15_000, NOTICED_MAX_MS = 2 * 3_600_000;

/** The sabotage of one run. Throws an Error when what is meant is not there. */
export class Sabotage {
  readonly #policies: [string, string][] = [];

  constructor(readonly world: World) {}

  /** What stands in nobody's way is taken back at once; all else when it is noticed, or when its time is over. */
  comeToAnEnd(): void {
    const { operator, witness } = this.world;
    for (const [permitId, name] of this.#policies) {
      if (witness.exposed(permitId).length === 0) attempt(() => operator.removePolicy(permitId, name));
    }
  }

  /** A policy without WPS's mark that lets every pod of the permit reach everything. */
  addPolicy(permitId: string, random: SeededRandom): void {
    const name = `somebodys-${this.#policies.length}`;
    const { operator, witness } = this.world;
    operator.addForeignPolicy(permitId, name);
    witness.blame(permitId, name);
    this.#policies.push([permitId, name]);
    this.#undo(permitId, random, () => operator.removePolicy(permitId, name));
  }

  /** WPS's own guard lets everything out; the service mends it by itself. */
  weakenGuard(permitId: string): void {
    this.world.operator.weakenDefaultDeny(permitId);
    this.world.witness.blame(permitId, GUARD);
  }

  /** WPS's own guard is gone: whatever no other policy selects is open. The service mends it by itself. */
  removeGuard(permitId: string): void {
    this.world.operator.removePolicy(permitId, GUARD);
    this.world.witness.blame(permitId, GUARD);
  }

  /** The node has forgotten all rules of a namespace, and does not look at the policies before this is undone. */
  leak(permitId: string, random: SeededRandom): void {
    const { cluster, witness } = this.world;
    const change = (lastsMs: number): void =>
      cluster.write(permitName(permitId), (world) => {
        const scope = world.state.scopes[permitName(permitId)];
        if (scope === undefined) return;
        const isEnforcing = (timer: LabTimer): boolean => timer.kind === "enforce" && timer.uid === scope.uid;
        for (const timer of world.state.timers.filter(isEnforcing)) {
          world.state.timers.splice(world.state.timers.indexOf(timer), 1);
        }
        if (lastsMs > 0) scope.enforced = {};
        world.schedule("enforce", scope.name, scope.uid, lastsMs);
      });
    witness.blame(permitId, null);
    change(NOTICED_MAX_MS);
    this.#undo(permitId, random, () => change(0));
  }

  /** After a while, or when no pod with data is left behind it; then a person lets the permit go on. */
  #undo(permitId: string, random: SeededRandom, act: () => void): void {
    const { world } = this;
    const { timeline, sabotaged, witness } = world;
    const isHasty = random.chance(UNNOTICED);
    const endMs = timeline.now() + NOTICED_MAX_MS;
    sabotaged.set(permitId, (sabotaged.get(permitId) ?? 0) + 1);
    const undo = (): void => {
      if (!isHasty && witness.exposed(permitId).length > 0 && timeline.now() < endMs) {
        return void timeline.at(NOTICED_LOOK_MS, undo);
      }
      attempt(act);
      sabotaged.set(permitId, (sabotaged.get(permitId) ?? 1) - 1);
      const resumeMs = random.between(LASTS_MIN_MS, LASTS_MAX_MS);
      timeline.at(resumeMs, () => void world.resumeBreached(permitId));
    };
    timeline.at(random.between(LASTS_MIN_MS, LASTS_MAX_MS), undo);
  }
}

/** What is meant may be gone by now, and then there is nothing to do. */
function attempt(act: () => void): void {
  try {
    act();
  } catch {
    // Its object is gone.
  }
}
