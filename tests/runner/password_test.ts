import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { clearPassword } from "../../src/store/secrets.ts";
import { PERMIT, withStage } from "./stage.ts";

Deno.test("password: a start whose answer was lost, before the platform went away, keeps what it was given", async () => {
  const cases = [
    { why: "the job ends at once", disposition: "stalled", reason: "denied" },
    { why: "all its attempts end without another look", disposition: "retry", reason: "unavailable" },
  ] as const;
  for (const { why, disposition, reason } of cases) {
    await withStage(async (stage) => {
      let isAway = false;
      stage.driver.after = ({ kind }) => {
        if (kind !== "start") return;
        isAway = true;
        throw new Fault(disposition, reason, "the answer is lost");
      };
      stage.driver.beforeObserve = () => {
        if (isAway) throw new Fault("retry", "unavailable", "the platform is away");
      };
      await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "failed");
      assert.equal(
        await stage.passwords(),
        2,
        `${why}: an old observation says nothing of what came after it`,
      );
      isAway = false;
      stage.driver.after = () => {};
      await stage.until("both are open", () => {
        const { pods } = stage.truth();
        return pods.length === 2 && pods.every(({ enters }) => enters.length > 0);
      });
      assert.equal(await stage.passwords(), 2, `${why}: who runs has a password`);
    });
  }
});

Deno.test("password: who runs and has none that WPS knows gets a new one, and works on", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const before = stage.truth();
    await stage.db.write((tx) => clearPassword(tx, PERMIT, "research/j.virtanen"));
    const asked = stage.driver.asked.length;
    await stage.until("it has one again", async () => await stage.passwords() === 2);
    assert.equal((await stage.latest("succeeded")).kind, "drift");
    const done = stage.driver.asked.slice(asked).map(({ kind, target }) => `${kind} ${target}`);
    assert.deepEqual(done, ["ensure-identity research/j.virtanen"], "nothing is cut or stopped for it");
    const after = stage.truth();
    assert.deepEqual(after.pods.map(({ uid }) => uid), before.pods.map(({ uid }) => uid));
    const changed = after.identities.filter((identity, at) =>
      identity.passwordHash !== before.identities[at]?.passwordHash
    );
    assert.deepEqual(changed.map(({ key }) => key), ["research/j.virtanen"]);
  });
});
