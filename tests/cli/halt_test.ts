/** `wps halt` and `wps resume` as an operator uses them: no broker, and in an emergency. */
import assert from "node:assert/strict";
import { setupEvent, TestSite } from "./site.ts";

Deno.test("halt, resume: cut and stopped as it happens, said who and why, and given back", async (t) => {
  await using site = await TestSite.make();
  await site.start();
  const file = await site.event("a", setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  assert.equal((await site.wps(["events", "send", file, "--follow"])).code, 0);

  await t.step("a mistyped id is not taken for halted", async () => {
    const { code, stderr } = await site.wps(["halt", "permit-01"]);
    assert.equal(code, 3);
    assert.match(stderr, /Cannot halt "permit-01": no event has named this permit/);
    assert.match(stderr, /--force/);
  });
  await t.step("a permit that is not halted cannot be resumed", async () => {
    const { code, stderr } = await site.wps(["resume", "permit-001"]);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot resume permit-001: it is not halted/);
  });
  await t.step("halt --follow: steps, then what came of it", async () => {
    const { code, stdout, stderr } = await site.wps([
      "halt",
      "permit-001",
      "--reason",
      "suspected leak",
      "--follow",
    ]);
    assert.deepEqual([code, stderr], [0, ""], stdout);
    assert.match(stdout, /^permit-001 halts \(event 2\): job 2 cuts its network ahead of all other work/);
    for (const person of ["j.virtanen", "l.nowak"]) {
      const cut = stdout.indexOf(`cut-network research/${person}`);
      const stop = stdout.indexOf(`stop research/${person}`);
      assert.ok(cut >= 0 && stop > cut, `${person}: cut first:\n${stdout}`);
    }
    assert.match(
      stdout,
      /^permit-001 is halted: 2 workspaces cut and stopped\. To end it run wps resume permit-001$/m,
    );
  });
  await t.step("status: since when, by whom, why, and how it ends", async () => {
    const { stdout } = await site.wps(["status", "permit-001"]);
    assert.match(stdout, /was halted at \d{4}-.* by operator .*: suspected leak;/);
    assert.match(stdout, /-> Settle the cause\. Then run wps resume permit-001$/m);
  });
  await t.step(
    "halt again: nothing more to cut, and said so; without --follow it says where to look",
    async () => {
      const { code, stdout } = await site.wps(["halt", "permit-001"]);
      assert.equal(code, 0);
      assert.match(stdout, /Watch it with wps jobs show 3 --follow; to end it run wps resume permit-001/);
      const followed = await site.wps(["halt", "permit-001", "--follow", "--json"]);
      assert.equal(followed.code, 0);
      assert.ok(followed.stdout.trim().split("\n").every((line) => "event" in JSON.parse(line)));
    },
  );
  await t.step("resume --follow: what the phase asks for is back", async () => {
    const { code, stdout } = await site.wps(["resume", "permit-001", "--reason", "a drill", "--follow"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /open-network research\/j\.virtanen/);
    const { status, halt } = JSON.parse((await site.wps(["status", "permit-001", "--json"])).stdout);
    assert.deepEqual([status, halt], ["RUNNING", null]);
  });
  await t.step("a stopped service cannot cut: said with its exit code", async () => {
    await site.stop();
    assert.equal((await site.wps(["halt", "permit-001"])).code, 4);
  });
});
