/**
 * The last look before a workspace or a consolidation mounts anything and before a network is opened: the invariants on
 * what was observed and on what the steps would make of it (DESIGN 5, invariant 6). The planner has foreseen the same; here
 * it is asserted once more, with the proofs and marks on record.
 */
import { Fault } from "../core/fault.ts";
import { foreseen } from "../core/guarded.ts";
import { describeBreach } from "../core/invariants.ts";
import type { Observed } from "../core/observed.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { ApplyStep, StepKind } from "../core/step.ts";
import type { Db } from "../store/db.ts";
import { provenInstances } from "../store/evidence.ts";
import { getPermit } from "../store/permits.ts";
import { listVolumes } from "../store/volumes.ts";

/** Judges the steps of a stretch up to and including a wave that is about to run; null: nothing forbids it. */
export type Guard = (observed: Observed, steps: readonly ApplyStep[]) => Promise<Fault | null>;

/** Steps that let somebody see or reach what they could not before. */
const GIVING: readonly StepKind[] = ["start", "consolidate", "open-network"];

/** A guard over the store's proofs and marks. */
export function createGuard({ db, phases }: { db: Db; phases: PhaseSet }): Guard {
  return async (observed, steps) => {
    if (!steps.some(({ kind }) => GIVING.includes(kind))) return null;
    const { permitId } = observed;
    const [permit, records, proven] = await Promise.all([
      getPermit(db, permitId),
      listVolumes(db, permitId),
      provenInstances(db, permitId),
    ]);
    const context = { phases, records, proven, isDeleted: permit?.deletion !== "none" };
    const [breach, ...rest] = foreseen(observed, context, steps.map(({ action }) => action));
    if (breach === undefined) return null;
    const more = rest.length === 0 ? "" : ` (and ${rest.length} more)`;
    return new Fault("stalled", "invariant", `Cannot go on: ${describeBreach(breach)}${more}`, {
      target: breach.target,
      advice:
        "Nothing was changed; report it as a fault of WPS, with wps jobs show, and halt the permit if in doubt",
    });
  };
}
