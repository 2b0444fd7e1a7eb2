/**
 * Faults of real parts while a permit changes: after each one the end is what the accepted events say, nothing is lost,
 * and no instant of the whole history breaks an invariant. Prints one table.
 */
import assert from "node:assert/strict";
import { requireOrReport } from "../cluster/harness.ts";
import { until } from "../services/until.ts";
import { researchAnalysis, researchSetup } from "./end_to_end/expected.ts";
import { readFile, writeFile } from "./end_to_end/inside.ts";
import { claimUids, settles } from "./end_to_end/judge.ts";
import { assertAcknowledged, assertInvariants, Life } from "./end_to_end/life.ts";
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
      await writeFile(stage.cluster, life.pod("research/j.virtanen"), "/data/outputs/model", "mine\n");
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
      // What a full disk kept waiting comes in its own time.
      await until("every message was acknowledged", () => assertAcknowledged(stage).then(() => true));
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
  const kept = await readFile(stage.cluster, life.pod("research/j.virtanen"), "/data/outputs/model");
  assert.equal(kept, "mine\n", fault.name);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return [fault.name, seconds(overMs - beganMs), seconds(Date.now() - overMs)];
}

/** Each published message is recorded as accepted once, and no job is open any more. */
async function workedOn(life: Life): Promise<void> {
  await until(
    "each message is accepted once, and worked on",
    async () => await life.isAccepted() && await life.isIdle(),
    SETTLE_MS,
  );
}
