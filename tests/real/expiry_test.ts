/**
 * A permit's date on real parts: its event came, the broker is away when it passes. The clock alone ends access and
 * stops everything; what is told waits for the broker; a later event with another date gives back.
 */
import assert from "node:assert/strict";
import { pendingOutbox } from "../../src/store/outbox.ts";
import { openDb } from "../../src/store/db.ts";
import { requireOrReport } from "../cluster/harness.ts";
import { until } from "../services/until.ts";
import { researchAnalysis } from "./end_to_end/expected.ts";
import { judgeHistory } from "./end_to_end/invariants.ts";
import { settles } from "./end_to_end/judge.ts";
import { Life } from "./end_to_end/life.ts";
import { FEW_PEOPLE, RESEARCHERS } from "./end_to_end/site.ts";
import { namespaceOf, type Stage, startStage } from "./end_to_end/stage.ts";

const ignore = !(await requireOrReport("cluster") && await requireOrReport("rabbitmq"));

/** Enough to record an event and to end the broker on a busy machine. */
const AHEAD_MS = 12_000;
/** From the date to the policy that cuts; a second on an idle machine. */
const CUT_MS = 10_000;
const PEOPLE = RESEARCHERS.slice(0, 1);

Deno.test({
  name: "expiresAt passes while the broker is away: access ends, all stops, a later date gives back",
  ignore,
  fn: async () => {
    const stage = await startStage();
    try {
      const life = new Life(stage, "expiry");
      await life.status("ANALYSIS_ACTIVE", FEW_PEOPLE);
      await settles(stage, life.permitId, { workspaces: researchAnalysis("running", PEOPLE) });
      await until("the gateway is let in", async () => await connection(life) === 200);

      const expiresMs = Date.now() + AHEAD_MS;
      const expiresAt = new Date(expiresMs).toISOString();
      await life.status("ANALYSIS_ACTIVE", { expiresAt });
      await until("the date is on record", async () => Date.parse(await dateOf(life) ?? "") === expiresMs);
      await stage.rabbit.kill();
      const { next } = stage.cluster.readAudit();
      await settles(stage, life.permitId, { workspaces: researchAnalysis("running", PEOPLE) });
      assert.ok(Date.now() < expiresMs, "the broker was away before the date");

      await settles(stage, life.permitId, { workspaces: researchAnalysis("stopped", PEOPLE) });
      const afterMs = cutAtMs(stage, life, next) - expiresMs;
      assert.ok(afterMs >= 0 && afterMs < CUT_MS, `cut ${afterMs} ms after the date`);
      console.log(`${life.permitId}: its network was cut ${afterMs} ms after its date`);
      await until("the service says so", async () => await life.says() === "STOPPED");
      assert.equal(await connection(life), 409);
      assert.deepEqual(await waiting(stage, life), [
        { key: "permit.expiring", days: 1, expiresAt },
        { key: "permit.expired", days: undefined, expiresAt },
      ]);

      await stage.rabbit.restart();
      await stage.service.consumes();
      await stage.manager.reconnect();
      await life.status("ANALYSIS_ACTIVE", { expiresAt: new Date(Date.now() + 3_600_000).toISOString() });
      await settles(stage, life.permitId, { workspaces: researchAnalysis("running", PEOPLE) });
      await until("somebody is let in again", async () => await connection(life) === 200);
      const permits = new Map([[life.permitId, { deletedAtMs: null }]]);
      assert.deepEqual(judgeHistory(stage.history.ordered(), permits, stage.site).violations, []);
    } finally {
      await stage.close();
    }
  },
});

/** The HTTP status of the gateway's question. */
async function connection({ stage, permitId }: Life): Promise<number> {
  return (await stage.service.get(`/api/v1/workspaces/${encodeURIComponent(permitId)}/connection`)).status;
}

async function dateOf({ stage, permitId }: Life): Promise<string | null> {
  const { body } = await stage.service.get(`/api/v1/permits/${encodeURIComponent(permitId)}`);
  return (body as { expiresAt: string | null }).expiresAt; // docs/api.md: a permit
}

/** When the API server acknowledged the first policy of the permit since `from`. */
function cutAtMs(stage: Stage, { permitId }: Life, from: number): number {
  const namespace = namespaceOf(stage, permitId);
  const cut = stage.cluster.readAudit(from).entries.find(({ verb, objectRef, responseStatus }) =>
    objectRef?.resource === "networkpolicies" && objectRef.namespace === namespace && verb === "patch" &&
    (responseStatus?.code ?? 500) < 300
  );
  return Date.parse(cut?.stageTimestamp ?? "");
}

/** What is to be told of the permit's date, and nobody has taken yet. */
async function waiting(
  { service }: Stage,
  { permitId }: Life,
): Promise<{ key: string; days: unknown; expiresAt: unknown }[]> {
  const path = service.configPath.replace(/wps\.yaml$/, "state/wps.db");
  const db = await openDb({ path, readOnly: true }); // the service has it open meanwhile
  try {
    const rows = await pendingOutbox(db, "workspace.events", 1_000);
    return rows.filter((row) => row.permitId === permitId && row.key.startsWith("permit.")).map(
      ({ key, payload }) => {
        const { days, expiresAt } = payload as Record<string, unknown>; // an object, see runner/expiry.ts
        return { key, days, expiresAt };
      },
    );
  } finally {
    await db.close();
  }
}
