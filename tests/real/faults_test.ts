/**
 * Faults of real parts while a permit changes: after each one the end is what the accepted events say, nothing is lost,
 * and no instant of the whole history breaks an invariant. Prints one table.
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { requireOrReport } from "../cluster/harness.ts";
import { until } from "../services/until.ts";
import { nameOf } from "./end_to_end/cluster_view.ts";
import { researchAnalysis, researchSetup } from "./end_to_end/expected.ts";
import { readFile, writeFile } from "./end_to_end/inside.ts";
import { claimUids, settles } from "./end_to_end/judge.ts";
import { assertInvariants, Life } from "./end_to_end/life.ts";
import type { KubeObject } from "./end_to_end/objects.ts";
import { HEARTBEAT, REAL_FAULTS, type RealFault, STATE_MIB } from "./end_to_end/real_faults.ts";
import { FEW_PEOPLE } from "./end_to_end/site.ts";
import { startStage } from "./end_to_end/stage.ts";

const ignore = !(await requireOrReport("cluster") && await requireOrReport("rabbitmq")) ||
  Deno.env.has("WPS_TEST_KUBECONFIG");
if (Deno.env.has("WPS_TEST_KUBECONFIG")) {
  console.log("left out: faults of real parts: a site's cluster is not disturbed");
}

/** After the fault is over: backoff, a broker's pause, a gate and its canaries, on a busy machine. */
const SETTLE_MS = 180_000;
const PEOPLE = FEW_PEOPLE;
const RUNNING = researchAnalysis("running", PEOPLE.researchers);

Deno.test({
  name: "faults of real parts: each is survived, with nothing lost and nothing open",
  ignore,
  fn: async () => {
    const stage = await startStage({ stateMib: STATE_MIB, heartbeat: HEARTBEAT });
    try {
      const life = new Life(stage, "faults");
      await life.status("WORKSPACE_SETUP_PENDING", PEOPLE);
      await settles(
        stage,
        life.permitId,
        { workspaces: researchSetup("running", PEOPLE.researchers) },
        SETTLE_MS,
      );
      await life.status("ANALYSIS_ACTIVE");
      await workedOn(life);
      await settles(stage, life.permitId, { workspaces: RUNNING }, SETTLE_MS);
      const claims = claimUids(life.view());
      await writeFile(stage.cluster, desk(life), "/data/outputs/model", "mine\n");
      const rows: string[][] = [];
      for (const fault of REAL_FAULTS) {
        try {
          rows.push(await survive(life, fault, claims));
        } catch (thrown) {
          console.log(`${fault.name}: the service's last words:\n${stage.service.lastWords()}`);
          throw thrown;
        }
      }
      await life.end();
      await workedOn(life);
      await until("every message was acknowledged", async () => {
        const queues = await stage.rabbit.rabbitmqctl(["-q", "list_queues", "name", "messages"]);
        return ["wps.permit-events", "wps.dead-letters"].every((queue) =>
          new RegExp(`^${queue}\\s+0$`, "m").test(queues)
        );
      });
      assertInvariants(stage, [life]);
      const table = [["fault", "lasted", "settled after"], ...rows];
      console.log(
        table.map(([name = "", ...rest]) =>
          [name.padEnd(52), ...rest.map((text) => text.padStart(14))].join("")
        )
          .join("\n"),
      );
      console.log(`${rows.length} of ${REAL_FAULTS.length} faults survived; no instant broke an invariant`);
    } finally {
      await stage.close();
    }
  },
});

/** A stop that is on its way when the fault strikes, and a start meanwhile; in the end it runs, with its data. */
async function survive(life: Life, fault: RealFault, claims: unknown): Promise<string[]> {
  const { stage } = life;
  const before = stage.history.ordered().length;
  await life.send("permit.workspace.stop_requested");
  await until("the stop is on its way", () => stage.history.ordered().length > before);
  const beganMs = Date.now();
  const end = await fault.strike(stage, () => life.send("permit.workspace.start_requested"));
  await end();
  const overMs = Date.now();
  await workedOn(life);
  await settles(stage, life.permitId, { workspaces: RUNNING }, SETTLE_MS);
  assert.deepEqual(claimUids(life.view()), claims, `${fault.name}: the very volumes`);
  const kept = await readFile(stage.cluster, desk(life), "/data/outputs/model");
  assert.equal(kept, "mine\n", fault.name);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return [fault.name, seconds(overMs - beganMs), seconds(Date.now() - overMs)];
}

function desk(life: Life): KubeObject {
  return life.view().pods.find((pod) => nameOf(pod) === "research/j.virtanen") ?? assert.fail("no pod");
}

/** Each published message is recorded as accepted once, and no job is open any more. */
async function workedOn({ stage, permitId }: Life): Promise<void> {
  const published = stage.manager.published.filter((message) => message.permitId === permitId)
    .map(({ messageId }) => messageId).sort();
  const path = (of: string): string => `/api/v1/${of}?limit=200&permitId=${encodeURIComponent(permitId)}`;
  await until("each message is accepted once, and worked on", async () => {
    const [events, jobs] = await Promise.all([
      stage.service.get(path("events")),
      stage.service.get(path("jobs")),
    ]);
    if (!events.ok || !jobs.ok) return false;
    const told = events.body as { items: { id: string; verdict: string }[] }; // docs/api.md: a page of events
    const accepted = told.items.filter(({ verdict }) => verdict === "accepted").map(({ id }) => id).sort();
    const { items } = jobs.body as { items: { state: string }[] }; // docs/api.md: a page of jobs
    return isDeepStrictEqual(accepted, published) &&
      items.every(({ state }) => !["queued", "running"].includes(state));
  }, SETTLE_MS);
}
