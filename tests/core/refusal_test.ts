import assert from "node:assert/strict";
import type { ObservedTask, RefusedEntries } from "../../src/core/observed.ts";
import { plan } from "../../src/core/plan.ts";
import { refusedUploads } from "../../src/core/refusal.ts";
import { type Plan, trialOf } from "../../src/core/step.ts";
import { nextStretch } from "../../src/runner/stretch.ts";
import { builtInPhases, type Journey, journey, permitOf, SITE } from "./plan_fixture.ts";

const phases = await builtInPhases();
const A = "uploads/hospital-a", B = "uploads/hospital-b";
const LIST = "a1".repeat(32), OTHER = "b2".repeat(32);
const REFUSED: RefusedEntries = { count: 3, shown: ["link ./x -> /etc"], listHash: LIST };
const PERMIT = permitOf({ status: "DATA_PREPARATION_PENDING", ingressBatch: 1 });

/** A permit both of whose holders' uploads are being copied; `given` replaces what is seen of each task. */
function consolidating(given: Record<string, Partial<ObservedTask>>): Journey {
  const trip = journey(phases);
  trip.reach(permitOf({ status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 }));
  for (let round = 0; round < 20 && trip.platform.state.tasks.size < 2; round++) {
    for (const { action } of nextStretch(trip.planFor(PERMIT).steps).waves.flat()) {
      trip.platform.apply(action);
    }
    if (trip.platform.state.tasks.size < 2) trip.platform.tick();
  }
  for (const [key, change] of Object.entries(given)) {
    Object.assign(trip.platform.state.tasks.get(key) ?? assert.fail(key), change);
  }
  return trip;
}

function planned(trip: Journey, accepted: Record<string, string>, tried?: ReadonlySet<string>): Plan {
  const records = [...trip.records.values()].map((record) => ({
    ...record,
    acceptedList: accepted[record.key] ?? null,
  }));
  return plan({
    permit: PERMIT,
    records,
    proven: trip.platform.state.proven,
    observed: trip.platform.observe(),
    phases,
    site: SITE,
    nowMs: 0,
    tried,
  });
}

/** What a stretch would do with uploads and who would get what they hold. */
function doings({ steps }: Plan): string[] {
  return nextStretch(steps).waves.flat().map(({ id }) => id).sort();
}

const failed = (refused: RefusedEntries): Partial<ObservedTask> => ({ state: "failed", refused });
const done: Partial<ObservedTask> = { state: "succeeded" };
const bothTried = new Set([`${A} `, `${B} `]);

interface Case {
  why: string;
  tasks: Record<string, Partial<ObservedTask>>;
  accepted?: Record<string, string>;
  tried?: ReadonlySet<string>;
  obstacles: string[];
  does: string[];
}

const CASES: Case[] = [
  {
    why: "both refused: both are named, nothing is done, nothing is destroyed",
    tasks: { [A]: failed(REFUSED), [B]: failed({ ...REFUSED, listHash: OTHER }) },
    obstacles: [A, B],
    does: [],
  },
  {
    why: "one refused, the other still copies: that one is waited for first",
    tasks: { [A]: failed(REFUSED) },
    obstacles: [],
    does: [],
  },
  {
    why: "one refused, the other done: nothing of either is destroyed before somebody decides",
    tasks: { [A]: failed(REFUSED), [B]: done },
    obstacles: [A],
    does: [],
  },
  {
    why: "accepted: it begins anew with what was accepted",
    tasks: { [A]: failed(REFUSED) },
    accepted: { [A]: LIST },
    tried: bothTried,
    obstacles: [],
    does: [`consolidate ${A}`],
  },
  {
    why: "another list than the accepted one: refused anew",
    tasks: { [A]: failed(REFUSED), [B]: done },
    accepted: { [A]: OTHER },
    obstacles: [A],
    does: [],
  },
  {
    why: "what was accepted for one holder is not for the other",
    tasks: { [A]: done, [B]: failed(REFUSED) },
    accepted: { [A]: LIST },
    obstacles: [B],
    does: [],
  },
  {
    why: "another attempt looks anew: the entries may have been removed",
    tasks: { [A]: failed(REFUSED), [B]: done },
    tried: new Set(),
    obstacles: [],
    does: [`consolidate ${A}`],
  },
  {
    why: "an attempt that was refused does not try again",
    tasks: { [A]: failed(REFUSED), [B]: done },
    tried: bothTried,
    obstacles: [A],
    does: [],
  },
];

for (const { why, tasks, accepted = {}, tried, obstacles, does } of CASES) {
  Deno.test(`plan: ${why}`, () => {
    const made = planned(consolidating(tasks), accepted, tried);
    assert.deepEqual(made.obstacles.map(({ target }) => target), obstacles);
    assert.ok(made.obstacles.every(({ reason }) => reason === "consolidation-refused"));
    const wanted = doings(made).filter((id) => !id.startsWith("ensure-") && !id.startsWith("retain-"));
    assert.deepEqual(wanted, does.sort());
    assert.deepEqual(nextStretch(made.steps).waves.flat().filter(({ kind }) => kind === "start"), []);
  });
}

Deno.test("refusedUploads: says how many, shows one, and gives the command that accepts exactly this list", () => {
  const trip = consolidating({ [A]: failed(REFUSED), [B]: done });
  const [obstacle] = planned(trip, {}).obstacles;
  assert.equal(
    obstacle?.message,
    `Cannot consolidate ${A}: 3 entries are neither files nor folders, e.g. link ./x -> /etc`,
  );
  assert.ok(
    obstacle.advice.includes(`wps uploads accept permit-001 hospital-a --list ${LIST}`),
    obstacle.advice,
  );
  assert.deepEqual(refusedUploads([], { observed: trip.platform.observe(), permit: PERMIT }), []);
});

Deno.test("trialOf: what is accepted makes it another trial", () => {
  const [step] = planned(consolidating({ [A]: failed(REFUSED) }), { [A]: LIST }).steps.flatMap((step) =>
    step.do === "apply" && step.action.kind === "consolidate" ? [step.action.consolidation] : []
  );
  assert.ok(step !== undefined);
  assert.equal(step.accepted, LIST);
  assert.notEqual(trialOf(step), trialOf({ ...step, accepted: null }));
});
