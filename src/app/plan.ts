/** What would change, for `wps plan` and its route: the runner's own pure function on a fresh observation. */
import type { MakePlan } from "../api/deps.ts";
import type { Clock } from "../core/clock.ts";
import { isOutdated } from "../core/condition.ts";
import { judge } from "../core/doubt.ts";
import type { Driver } from "../core/driver.ts";
import { Fault } from "../core/fault.ts";
import type { Permit } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import { plan } from "../core/plan.ts";
import type { Site } from "../core/site.ts";
import type { Db } from "../store/db.ts";
import { provenInstances } from "../store/evidence.ts";
import { getPermit } from "../store/permits.ts";
import { passwordKeys } from "../store/secrets.ts";
import { listVolumes } from "../store/volumes.ts";

/** Plans without writing anything; with `status`, as if an event with that status had just been accepted. */
export function makePlanFor(
  deps: { db: Db; driver: Driver; phases: PhaseSet; site: Site; clock: Clock },
): MakePlan {
  return async (permitId, status, signal) => {
    const permit = await getPermit(deps.db, permitId);
    if (permit === null) {
      throw new Fault("stalled", "not-found", `Cannot plan ${permitId}: no event has named this permit`);
    }
    const wish = status === null ? permit : withStatus(permit, status, deps.phases);
    const records = await listVolumes(deps.db, permitId);
    const passwords = await passwordKeys(deps.db, permitId);
    const observed = await deps.driver.observe(permitId, signal);
    const proven = await provenInstances(deps.db, permitId);
    const { phases, site } = deps;
    const nowMs = deps.clock.now();
    const desired = judge({ permit: wish, records, observedVolumes: observed.volumes, phases, site, nowMs });
    const wanted = desired.mode === "apply" ? desired.workspaces : [];
    return {
      plan: plan({ permit: wish, records, proven, observed, passwords, phases, site, nowMs }),
      outdated: observed.workspaces.filter((seen) =>
        isOutdated(seen, wanted.find(({ key }) => key === seen.key) ?? null)
      ).map(({ key }) => key),
    };
  };
}

function withStatus(permit: Permit, status: string, phases: PhaseSet): Permit {
  const phase = phases.statuses.get(status);
  if (phase === undefined) {
    throw new Fault("stalled", "invalid", `Cannot plan for ${status}: no phase has this status`, {
      advice: `Use one of ${[...phases.statuses.keys()].join(", ")}`,
    });
  }
  return {
    ...permit,
    status,
    ingressOpen: permit.ingressOpen && phase.keepsIngress,
    stopRequested: permit.stopRequested && permit.status === status,
  };
}
