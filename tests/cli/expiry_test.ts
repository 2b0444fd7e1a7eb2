/** What an operator reads of a permit's date. */
import assert from "node:assert/strict";
import { createLog } from "../../src/log.ts";
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

/** What `ask` answers as soon as it is as it must become; what becomes of it in the background is not awaited. */
async function waitFor(
  what: string,
  ask: () => Promise<string>,
  isSo: (text: string) => boolean,
): Promise<string> {
  for (let asked = 0; asked < 200; asked++) {
    const text = await ask();
    if (isSo(text)) return text;
  }
  return assert.fail(`${what} did not come`);
}

Deno.test("a permit whose time ends soon: in the log, in its status and counted in health until the date moves", async () => {
  await using site = await TestSite.make();
  const lines: string[] = [];
  const clock = { now: () => Date.now(), sleep: () => Promise.resolve() };
  await site.start(
    createLog({ level: "warn", format: "text", clock, write: (line) => void lines.push(line) }),
  );
  const { app } = site;
  assert.ok(app !== null);
  const send = async (id: string, revision: number, expiresAt: string): Promise<string> => {
    const event = setupEvent(id, revision, "WORKSPACE_SETUP_PENDING");
    const data = { ...event["data"] as Record<string, unknown>, expiresAt }; // it is an object
    const file = await site.event(id, { ...event, data });
    const { code, stderr } = await site.wps(["events", "send", file, "--follow"]);
    assert.equal(code, 0, stderr);
    return (await site.wps(["status", "permit-001"])).stdout;
  };
  const runner = async (): Promise<{ state: string; detail: string }> =>
    JSON.parse(await (await app.fetch(new Request("http://wps/api/v1/health"))).text()).runner;
  const isoIn = (days: number): string =>
    new Date(Math.floor(Date.now() / 1_000) * 1_000 + days * 86_400_000).toISOString();
  const far = isoIn(90);
  assert.doesNotMatch(await send("a", 1, far), /The permit expires at/);
  assert.doesNotMatch((await runner()).detail, /soon/);
  const soon = isoIn(5);
  await send("b", 2, soon);
  const status = await waitFor(
    "the warning",
    async () => (await site.wps(["status", "permit-001"])).stdout,
    (text) => text.includes("The permit expires at"),
  );
  const date = soon.replace(/\.000Z$/, "(.000)?Z");
  assert.match(status, new RegExp(`The permit expires at ${date}: its network is cut then`));
  assert.match(status, /a later expiresAt, or null for no end/);
  assert.match(status, /^permit-001 +RUNNING$/m, "nothing else changes");
  const { state, detail } = await runner();
  assert.match(detail, new RegExp(`; 1 permit ends soon: permit-001 at ${date}$`));
  assert.equal(state, "ok", "which is no fault of the service");
  const told = lines.filter((line) => line.includes("the permit's time ends soon"));
  assert.equal(told.length, 1);
  assert.match(told[0] ?? "", /warn.*permit-001.*days=7/i);
  assert.doesNotMatch(await send("c", 3, far), /The permit expires at/);
  assert.doesNotMatch((await runner()).detail, /soon/);
});
