import assert from "node:assert/strict";
import { z } from "zod";
import { Fault } from "../../src/core/fault.ts";
import { listAudit } from "../../src/store/audit.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

const row = z.object({ seq: z.number(), action: z.string(), messages: z.number() });

/** Audit rows with the number of their messages. */
function rows({ db }: Stage): Promise<z.infer<typeof row>[]> {
  return db.read(
    `select seq, action, (select count(*) from outbox
       where topic = 'audit.events' and payload ->> 'seq' = audit.seq and key = audit.action) as messages
     from audit order by seq`,
    [],
    row,
  );
}

Deno.test("audit: every row of a permit's life has exactly one message, whoever wrote it", async () => {
  await withStage(async (stage) => {
    let refusals = 1;
    stage.driver.before = ({ kind }) => {
      if (kind === "start" && refusals-- > 0) throw new Fault("retry", "unavailable", "Cannot reach it");
    };
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const [pod] = stage.truth().pods;
    stage.operator.deletePod(PERMIT, pod?.name ?? "");
    await stage.until("drift has repaired it", async () => {
      const { items } = await listAudit(stage.db, { action: "drift.found" }, { cursor: null, limit: 10 });
      return items.length > 0 && stage.truth().pods.every(({ ready }) => ready);
    });
    await stage.latest("succeeded");
    await stage.job((await stage.send("permit.halted")).jobId, "succeeded");
    await stage.job((await stage.send("permit.resumed")).jobId, "succeeded");
    await stage.job((await stage.send("permit.deleted")).jobId, "succeeded");
    const audited = await rows(stage);
    const actions = new Set(audited.map(({ action }) => action));
    for (
      const action of [
        "event.accepted",
        "step.prove-isolation",
        "job.retried",
        "job.succeeded",
        "drift.found",
        "permit.destroyed",
      ]
    ) {
      assert.ok(actions.has(action), action);
    }
    assert.deepEqual(audited.filter(({ messages }) => messages !== 1), []);
    const [count] = await stage.db.read(
      "select count(*) as messages from outbox where topic = 'audit.events'",
      [],
      z.object({ messages: z.number() }),
    );
    assert.equal(count?.messages, audited.length, "and no message without a row");
  });
});
