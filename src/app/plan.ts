/** What would change, for `wps plan` and its route: the runner's own plan on a fresh observation. */
import type { FreshPlan, MakePlan, SupposedEvent } from "../api/deps.ts";
import type { Clock } from "../core/clock.ts";
import { isOutdated } from "../core/condition.ts";
import { judge } from "../core/doubt.ts";
import type { Driver } from "../core/driver.ts";
import { Fault } from "../core/fault.ts";
import { type Job, JOB_PRIORITY, takesOnly } from "../core/job.ts";
import { effectOf, knownTypes } from "../core/merge.ts";
import type { Observed } from "../core/observed.ts";
import type { Permit } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import { plan } from "../core/plan.ts";
import type { Site } from "../core/site.ts";
import type { Plan } from "../core/step.ts";
import { decideEvent } from "../core/verdict.ts";
import { type Facts, factsOf, NOTHING_TRIED, planOfJob } from "../runner/job_plan.ts";
import type { Db } from "../store/db.ts";
import { latestJob } from "../store/jobs.ts";
import { getPermit } from "../store/permits.ts";

/** What previews are made with. */
export interface PreviewDeps {
  db: Db;
  driver: Pick<Driver, "observe">;
  phases: PhaseSet;
  site: Site;
  clock: Clock;
}

/** What the plan is for: a wish, and the job that carries it out; null: none is open, and only a drift pass would look. */
interface Purpose {
  permit: Permit;
  job: Pick<Job, "kind" | "priority" | "state"> | null;
}

/** Plans without writing anything; with an event, as if it had just been accepted. */
export function makePlanFor(deps: PreviewDeps): MakePlan {
  return async (permitId, supposed, signal) => {
    const permit = await getPermit(deps.db, permitId);
    if (permit === null) {
      throw new Fault("stalled", "not-found", `Cannot plan ${permitId}: no event has named this permit`);
    }
    const purpose = supposed === null
      ? { permit, job: await openJobOf(deps.db, permitId) }
      : suppose(permit, supposed, deps);
    const facts = await factsOf(deps.db, permitId);
    const observed = await deps.driver.observe(permitId, signal);
    const nowMs = deps.clock.now();
    const made = planFor(purpose, facts, observed, { ...deps, nowMs });
    return { plan: made, wish: purpose.permit, outdated: outdatedOf(purpose, facts, observed, deps, nowMs) };
  };
}

/** The newest: where one runs and one is queued, that one is about to take the other's place. */
async function openJobOf(db: Db, permitId: string): Promise<Job | null> {
  const job = await latestJob(db, permitId);
  return job?.state === "queued" || job?.state === "running" ? job : null;
}

function planFor(
  { permit, job }: Purpose,
  facts: Facts,
  observed: Observed,
  { phases, site, nowMs }: { phases: PhaseSet; site: Site; nowMs: number },
): Plan {
  // What the drift pass goes by; and a job that only takes away is followed by one that gives: both are shown.
  if (job === null || takesOnly(job)) {
    return plan({ permit, ...facts, observed, phases, site, nowMs });
  }
  // One that runs has tried what its steps say: what was refused is told, not foreseen to be tried again.
  if (job.state === "running") {
    return plan({ permit, ...facts, observed, phases, site, nowMs, closing: job.kind === "stop" });
  }
  return planOfJob(job, { permit, ...facts }, observed, NOTHING_TRIED, { phases, site, nowMs });
}

function outdatedOf(
  { permit }: Purpose,
  { records }: Facts,
  observed: Observed,
  { phases, site }: PreviewDeps,
  nowMs: number,
): FreshPlan["outdated"] {
  const desired = judge({ permit, records, observedVolumes: observed.volumes, phases, site, nowMs });
  const wanted = desired.mode === "apply" ? desired.workspaces : [];
  return observed.workspaces.filter((seen) =>
    isOutdated(seen, wanted.find(({ key }) => key === seen.key) ?? null)
  ).map(({ key }) => key);
}

/** The same decision that the intake makes, on an event without time and revision: it counts by arrival. */
function suppose(
  permit: Permit,
  { type, status }: SupposedEvent,
  { phases, site, clock }: PreviewDeps,
): Purpose {
  if (effectOf(type, phases) === null) {
    throw new Fault("stalled", "invalid", `Cannot plan for ${type}: it is not an event that WPS acts on`, {
      advice: `Name one of ${knownTypes(phases).join(", ")}`,
    });
  }
  const decision = decideEvent({
    event: {
      source: "",
      id: "",
      type,
      permitId: permit.permitId,
      time: null,
      revision: null,
      update: status === null ? {} : { status },
      bodyHash: "",
    },
    permit,
    seen: null,
    redelivered: false,
    unackedTwins: [],
    phases,
    tiers: new Set(Object.keys(site.tiers)),
    nowMs: clock.now(),
  });
  if (decision.verdict === "rejected") {
    const [first] = decision.errors;
    throw new Fault("stalled", "invalid", `Cannot plan for ${type}: it would be rejected: ${first?.message}`);
  }
  if (decision.verdict !== "accepted") {
    const text = `it would be ${decision.verdict}: ${decision.reason}`;
    throw new Fault("stalled", "conflict", `Cannot plan for ${type}: ${text}`, {
      advice: "Plan without it to see what is still to be done",
    });
  }
  const kind = decision.job;
  return {
    permit: { ...decision.permit, version: permit.version },
    job: { kind, priority: JOB_PRIORITY[kind], state: "queued" },
  };
}
