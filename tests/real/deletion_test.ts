/**
 * permit.deleted straight from every phase and from the middle of provisioning, on real parts (DESIGN 5, invariant 7):
 * nothing is left, neither in the API server nor on the node's disk.
 */
import { requireOrReport } from "../cluster/harness.ts";
import { until } from "../services/until.ts";
import type { PermitView } from "./end_to_end/cluster_view.ts";
import {
  airlocks,
  type Expected,
  preparationReview,
  preprocessing,
  researchAnalysis,
  researchSetup,
  setupReview,
} from "./end_to_end/expected.ts";
import { settles } from "./end_to_end/judge.ts";
import { assertInvariants, Life } from "./end_to_end/life.ts";
import { FEW_PEOPLE, HOLDERS, RESEARCHERS } from "./end_to_end/site.ts";
import { startStage } from "./end_to_end/stage.ts";

const ignore = !(await requireOrReport("cluster") && await requireOrReport("rabbitmq"));

/** The parts under test live longer than a step; the test around the steps has the leak checks. */
const PHASE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
const FEW = { holders: HOLDERS.slice(0, 1), researchers: RESEARCHERS.slice(0, 1) };

/** A message and what shows that it was followed. */
type Move = [type: string, status: string | null, expected: Expected["workspaces"]];

const STATUS = "permit.status.updated";
const prepare: Move = [STATUS, "DATA_PREPARATION_PENDING", [preprocessing()]];
const setUp: Move = [STATUS, "WORKSPACE_SETUP_PENDING", researchSetup("running", FEW.researchers)];
const analyse: Move = [STATUS, "ANALYSIS_ACTIVE", researchAnalysis("running", FEW.researchers)];
const stop: Move = ["permit.workspace.stop_requested", null, researchAnalysis("stopped", FEW.researchers)];

/** Each phase by the way to it; a jump where nothing of the phases between is needed. */
const WAYS: Record<string, Move[]> = {
  "permit.ingress.initiated": [],
  DATA_PREPARATION_PENDING: [prepare],
  DATA_PREPARATION_REVIEW_PENDING: [
    prepare,
    [STATUS, "DATA_PREPARATION_REVIEW_PENDING", [preprocessing("stopped"), preparationReview()]],
  ],
  DATA_PREPARATION_REWORK: [[STATUS, "DATA_PREPARATION_REWORK", [preprocessing()]]],
  WORKSPACE_SETUP_PENDING: [setUp],
  WORKSPACE_SETUP_REVIEW_PENDING: [
    setUp,
    [STATUS, "WORKSPACE_SETUP_REVIEW_PENDING", [
      ...researchSetup("stopped", FEW.researchers),
      setupReview(FEW.researchers),
    ]],
  ],
  WORKSPACE_SETUP_REWORK: [[STATUS, "WORKSPACE_SETUP_REWORK", researchSetup("running", FEW.researchers)]],
  ANALYSIS_ACTIVE: [analyse],
  "permit.workspace.stop_requested": [analyse, stop],
  "permit.workspace.start_requested": [analyse, stop, ["permit.workspace.start_requested", null, analyse[2]]],
  ARCHIVED: [prepare, [STATUS, "ARCHIVED", []]],
};

/** Moments in the middle of provisioning. */
const MOMENTS: { from: string; status: string; isNow(view: PermitView): boolean }[] = [
  {
    from: "its namespace being made",
    status: "ANALYSIS_ACTIVE",
    isNow: ({ namespace }) => namespace !== null,
  },
  { from: "a pod that is not ready yet", status: "ANALYSIS_ACTIVE", isNow: ({ pods }) => pods.length > 0 },
  {
    from: "a running consolidation",
    status: "DATA_PREPARATION_PENDING",
    isNow: ({ jobs }) => jobs.length > 0,
  },
];

Deno.test({
  name: "permit.deleted straight from every phase, and from the middle of provisioning, leaves nothing",
  ignore,
  fn: async (t) => {
    const stage = await startStage();
    try {
      const lives: Life[] = [];
      const step = (from: string, reach: (life: Life) => Promise<void>): Promise<boolean> => {
        const life = new Life(stage, `from ${from}`);
        lives.push(life);
        const fn = async (): Promise<void> => {
          await reach(life);
          await life.end();
        };
        return t.step({ name: `from ${from}`, fn, ...PHASE });
      };
      await Promise.all([
        step("AWAITING_INGRESS", (life) => life.status("AWAITING_INGRESS", FEW_PEOPLE)),
        ...Object.entries(WAYS).map(([from, way]) =>
          step(from, async (life) => {
            await openIngress(life);
            for (const [type, status, workspaces] of way) {
              await life.send(type, status === null ? {} : { status });
              await settles(stage, life.permitId, { workspaces });
            }
          })
        ),
        ...MOMENTS.map(({ from, status, isNow }) =>
          step(from, async (life) => {
            if (status === "DATA_PREPARATION_PENDING") await openIngress(life);
            await life.status(status, FEW_PEOPLE);
            await until(from, () => isNow(life.view()));
          })
        ),
      ]);
      await t.step({
        name: "no instant broke an invariant",
        fn: () => assertInvariants(stage, lives),
        ...PHASE,
      });
    } finally {
      await stage.close();
    }
  },
});

async function openIngress(life: Life): Promise<void> {
  await life.status("AWAITING_INGRESS", FEW_PEOPLE);
  await life.send("permit.ingress.initiated");
  await settles(life.stage, life.permitId, { workspaces: airlocks(FEW.holders) });
}
