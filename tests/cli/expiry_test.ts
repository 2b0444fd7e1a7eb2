/** What an operator reads of a permit's date. */
import assert from "node:assert/strict";
import { setupEvent, TestSite } from "./site.ts";

Deno.test("a permit's date: shown, past, lifted, or none", async () => {
  await using site = await TestSite.make();
  await site.start();
  const send = async (id: string, revision: number, more: Record<string, unknown>): Promise<string> => {
    const event = setupEvent(id, revision, "WORKSPACE_SETUP_PENDING");
    const data = { ...event["data"] as Record<string, unknown>, ...more }; // it is an object
    const file = await site.event(id, { ...event, data });
    const { code, stderr } = await site.wps(["events", "send", file, "--follow"]);
    assert.equal(code, 0, stderr);
    return (await site.wps(["status", "permit-001"])).stdout;
  };
  assert.match(await send("a", 1, {}), /^permit-001 +RUNNING$[^]*, no end date,/m);
  assert.match((await site.wps(["permits"])).stdout, /^PERMIT +STATUS +PHASE +FLAGS +EXPIRES [^]*no date/m);
  assert.match(await send("b", 2, { expiresAt: "2999-01-01T00:00:00Z" }), /, expires 2999-01-01/);
  assert.match((await site.wps(["permits"])).stdout, /permit-001 .* 2999-01-01 /);
  const over = await send("c", 3, { expiresAt: "2020-01-01T00:00:00Z" });
  assert.match(over, /^permit-001 +STOPPED$/m);
  assert.match(over, /WORKSPACE_SETUP_PENDING \(.*\), expired$/m);
  assert.match(over, /expired at 2020-01-01.*: its network is cut and its workspaces are stopped/);
  assert.match(over, /a new expiresAt, or null for no end/);
  const plan = await site.wps(["plan", "permit-001"]);
  assert.equal(plan.code, 0, plan.stdout);
  assert.match(await send("d", 4, { expiresAt: null }), /^permit-001 +RUNNING$/m);
});
