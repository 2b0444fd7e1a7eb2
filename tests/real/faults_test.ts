/**
 * Faults of real parts while a permit changes: after each one the end is what the accepted events say, nothing is lost,
 * and no instant of the whole history breaks an invariant. Prints one table.
 */
import assert from "node:assert/strict";
import { requireOrReport } from "../cluster/harness.ts";
import { until } from "../services/until.ts";
import {
  airlocks,
  type Expected,
  preprocessing,
  researchAnalysis,
  researchSetup,
} from "./end_to_end/expected.ts";
import { readFile, writeFile } from "./end_to_end/inside.ts";
import { claimUids, judge, settles } from "./end_to_end/judge.ts";
import { assertAcknowledged, assertInvariants, Life } from "./end_to_end/life.ts";
import type { Kind } from "./end_to_end/objects.ts";
import { HEARTBEAT, REAL_FAULTS, type RealFault, STATE_MIB } from "./end_to_end/real_faults.ts";
import { FEW_PEOPLE, HOLDERS, PEOPLE } from "./end_to_end/site.ts";
import { type Stage, startStage } from "./end_to_end/stage.ts";
import { FIRST_BATCH, judgeBatch, upload } from "./end_to_end/uploads.ts";

const ignore = !(await requireOrReport("cluster") && await requireOrReport("rabbitmq")) ||
  Deno.env.has("WPS_TEST_KUBECONFIG");
if (Deno.env.has("WPS_TEST_KUBECONFIG")) {
  console.log("left out: faults of real parts: a site's cluster is not disturbed");
}

/** After the fault is over: backoff, a broker's pause, a gate and its canaries, on a busy machine. */
const SETTLE_MS = 180_000;
const { researchers } = FEW_PEOPLE;

/** A change of a permit that a fault parts. */
interface Turn {
  name: string;
  status: string;
  /** Its first write to such an object is what the fault waits for: from then on it is on its way. */
  begins: Kind;
  workspaces: Expected["workspaces"];
}

/** Away from the proxy and near data: the network is cut, seen to be cut, and only then is data mounted. */
const TO_ANALYSIS: Turn = {
  name: "setup to analysis",
  status: "ANALYSIS_ACTIVE",
  begins: "networkpolicies",
  workspaces: researchAnalysis("running", researchers),
};
/** Away from data and to the proxy, with a home and a project that have never seen any. */
const TO_SETUP: Turn = {
  name: "analysis to setup",
  status: "WORKSPACE_SETUP_PENDING",
  begins: "networkpolicies",
  workspaces: researchSetup("running", researchers),
};
/** Uploads are copied, verified, and only then destroyed. */
const TO_PREPARATION: Turn = {
  name: "consolidation",
  status: "DATA_PREPARATION_PENDING",
  begins: "jobs",
  workspaces: [preprocessing()],
};

Deno.test({
  name: "faults of real parts: each is survived, with nothing lost and nothing open",
  ignore,
  fn: async () => {
    const stage = await startStage({ stateMib: STATE_MIB, heartbeat: HEARTBEAT });
    try {
      const lives = [new Life(stage, "faults"), new Life(stage, "fault-uploads")] as const;
      const rows = [...await turnToAndFro(lives[0]), await consolidate(lives[1])];
      for (const life of lives) {
        await life.end();
        await workedOn(life);
      }
      // What a full disk kept waiting comes in its own time.
      await until("every message was acknowledged", () => assertAcknowledged(stage).then(() => true));
      assertInvariants(stage, [...lives]);
      const table = [["fault", "while", "lasted", "settled after"], ...rows];
      console.log(
        table.map(([name = "", turn = "", ...rest]) =>
          [name.padEnd(52), turn.padEnd(20), ...rest.map((text) => text.padStart(14))].join("")
        )
          .join("\n"),
      );
      console.log(`${rows.length} faults survived; no instant broke an invariant`);
    } catch (thrown) {
      console.log(`the service's last words:\n${stage.service.lastWords()}`);
      throw thrown;
    } finally {
      await stage.close();
    }
  },
});

/** Each fault parts the next turn of one permit; what was written beside the data stays. */
async function turnToAndFro(life: Life): Promise<string[][]> {
  const { stage, permitId } = life;
  await life.status(TO_SETUP.status, FEW_PEOPLE);
  await settles(stage, permitId, { workspaces: TO_SETUP.workspaces }, SETTLE_MS);
  const rows: string[][] = [];
  for (const [index, fault] of REAL_FAULTS.entries()) {
    const turn = index % 2 === 0 ? TO_ANALYSIS : TO_SETUP;
    const before = claimUids(life.view());
    rows.push(await survive(life, fault, turn));
    const after = claimUids(life.view());
    assert.deepEqual({ ...after, ...before }, after, `${fault.name}: the very volumes`);
    if (turn !== TO_ANALYSIS) continue;
    const [pod, path] = [life.pod("research/j.virtanen"), "/data/outputs/model"];
    if (index === 0) await writeFile(stage.cluster, pod, path, "mine\n");
    assert.equal(await readFile(stage.cluster, pod, path), "mine\n", fault.name);
  }
  return rows;
}

/** The API server dies while a holder's files are copied: they arrive once, whole. */
async function consolidate(life: Life): Promise<string[]> {
  const { stage, stage: { cluster } } = life;
  await life.status("AWAITING_INGRESS", PEOPLE);
  await life.send("permit.ingress.initiated", { status: "AWAITING_INGRESS" });
  await settles(stage, life.permitId, { workspaces: airlocks() }, SETTLE_MS);
  const [{ id = "", username = "" } = {}] = HOLDERS;
  const airlock = life.pod(`airlock/${username}`);
  await upload(cluster, airlock, `/uploads/${id}`, FIRST_BATCH);
  const death = REAL_FAULTS.find(({ name }) => /API server/.test(name)) ?? assert.fail("no such fault");
  const row = await survive(life, death, TO_PREPARATION);
  const { pod } = await judge(stage, life.permitId, { workspaces: TO_PREPARATION.workspaces });
  const owner = airlock.spec.securityContext.runAsUser;
  const desk = pod("preprocessing", "m.keller");
  await judgeBatch(cluster, desk, `/data/raw/${id}/batch-1`, FIRST_BATCH, owner);
  return row;
}

/** A turn that is on its way when the fault strikes, and its event once more meanwhile; in the end all is as it says. */
async function survive(life: Life, fault: RealFault, turn: Turn): Promise<string[]> {
  const { stage } = life;
  const before = stage.history.ordered().length;
  await life.status(turn.status);
  await until(`the turn is on its way: ${turn.name}`, () => hasBegun(stage, life, turn, before));
  const beganMs = Date.now();
  const end = await fault.strike(stage, () => life.status(turn.status));
  await end();
  const overMs = Date.now();
  await workedOn(life);
  await settles(stage, life.permitId, { workspaces: turn.workspaces }, SETTLE_MS);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return [fault.name, turn.name, seconds(overMs - beganMs), seconds(Date.now() - overMs)];
}

function hasBegun({ history }: Stage, life: Life, { begins }: Turn, since: number): boolean {
  const { namespace } = life.view();
  return history.ordered().slice(since).some(({ kind, object, before }) =>
    kind === begins && (object ?? before)?.metadata.namespace === namespace
  );
}

/** Each published message is recorded as accepted once, and no job is open any more. */
async function workedOn(life: Life): Promise<void> {
  await until(
    "each message is accepted once, and worked on",
    async () => await life.isAccepted() && await life.isIdle(),
    SETTLE_MS,
  );
}
