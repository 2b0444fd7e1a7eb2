/** What an operator reads of a permit that is halted, cancelled, ambiguous or deleted. */
import assert from "node:assert/strict";
import { CapturedTerminal } from "./capture.ts";
import { setupEvent, TestSite } from "./site.ts";

/** Sends an event and waits for its job's end. */
async function reach(site: TestSite, event: Record<string, unknown>): Promise<void> {
  const file = await site.event(`${event["id"]}`, event);
  const { code, stdout, stderr } = await site.wps(["events", "send", file, "--follow"]);
  assert.equal(code, 0, stdout + stderr);
}

async function text(site: TestSite, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await site.wps(args);
  assert.deepEqual([code, stderr], [0, ""], args.join(" "));
  return stdout;
}

function flag(id: string): Record<string, unknown> {
  return { id, type: `permit.${id}`, permitId: "permit-001", data: {} };
}

Deno.test("status, plan, drift, connection: a halted permit, its deletion meanwhile, and what is left of it", async (t) => {
  await using site = await TestSite.make();
  await site.start();

  await t.step("a phase without workspaces was looked at all the same", async () => {
    await reach(site, setupEvent("a", 1, "AWAITING_INGRESS"));
    const status = await text(site, "status", "permit-001");
    assert.match(status, /^ {2}revision 1, 1 accepted event, no end date, seen (just now|\d)/m);
  });
  await t.step("ambiguous: says which option of the command decides", async () => {
    await reach(site, setupEvent("b", 2, "WORKSPACE_SETUP_PENDING"));
    const { code, stderr } = await site.wps(["connection", "permit-001"]);
    assert.equal(code, 1);
    assert.match(stderr, /^ {2}research of l\.nowak\n {2}-> Say whose with --username NAME$/m);
  });
  await t.step("what an event would do, before it comes", async () => {
    const plan = await text(site, "plan", "permit-001", "--event", "permit.deleted");
    assert.match(plan, /^permit-001 {2}WORKSPACE_SETUP_PENDING if permit\.deleted came$/m);
    assert.match(plan, /^ {2}- destroy-scope +permit +the permit is deleted and nothing else is left$/m);
    assert.match(plan, /Nothing was changed by asking\.$/m);
    const halt = await text(site, "plan", "permit-001", "--event", "permit.halted");
    assert.match(halt, /^Halted: .*wps resume/m);
    const { code, stderr } = await site.wps(["plan", "permit-001", "--event", "permit.analysis.approved"]);
    assert.equal(code, 1);
    assert.match(stderr, /-> Name one of .*permit\.deleted/);
  });
  await t.step("halted: names the event that ends it", async () => {
    await reach(site, flag("halted"));
    const status = await text(site, "status", "permit-001");
    assert.match(status, /^permit-001 {2}HALTED$/m);
    assert.match(
      status,
      /^! The permit was halted at .* by operator .*; its network is cut and its workspaces\s+are stopped$/m,
    );
    assert.match(status, /^ {2}-> .*wps resume permit-001$/m);
    assert.match(await text(site, "plan", "permit-001"), /^Halted: .*wps resume/m);
    const { stderr } = await site.wps(["connection", "permit-001", "--username", "l.nowak"]);
    assert.match(stderr, /once it is resumed/);
  });
  await t.step("deletion requested while halted: what waits, and for what", async () => {
    await reach(site, flag("deleted"));
    const status = await text(site, "status", "permit-001");
    assert.match(status, /halted, deletion requested$/m);
    assert.match(status, /; its deletion waits for the end of\s+the halt: the volumes are kept$/m);
    assert.match(status, /^ {2}-> .*wps resume permit-001: the deletion then goes on/m);
    assert.match(status, /seen (just now|\d)/);
    assert.match(status, /^ {2}project +bound /m);
  });
  await t.step("deleted: since when, and that nothing is left", async () => {
    await reach(site, flag("resumed"));
    const status = await text(site, "status", "permit-001");
    assert.match(status, /^permit-001 {2}DESTROYED$/m);
    assert.match(
      status,
      /^ {2}deleted \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \(.*\): nothing of it is left on the platform$/m,
    );
    assert.doesNotMatch(status, /never looked at/);
    assert.match(status, /^ {2}its last status was WORKSPACE_SETUP_PENDING \(Workspace setup\)$/m);
    for (const command of ["plan", "drift"]) {
      assert.match(await text(site, command, "permit-001"), /deleted .*: nothing of it is left/, command);
    }
    const { deletedAt } = JSON.parse(await text(site, "status", "permit-001", "--json"));
    assert.equal(typeof deletedAt, "string");
  });
});

Deno.test("jobs cancel: a running job says that it stops later, and is then told how to go on", async () => {
  await using site = await TestSite.make("brokenKinds: [research]");
  await site.start();
  const file = await site.event("a", setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  await site.wps(["events", "send", file]);
  const terminal = new CapturedTerminal();
  const watching = site.wps(["jobs", "show", "1", "--follow"], { terminal });
  await terminal.until("waiting: pod", watching);

  const advice = /^ {2}-> Correct the image's name in the configuration/m;
  const waits = await text(site, "status", "permit-001");
  assert.match(waits, advice, "what ends the wait is said while it lasts");
  assert.match(waits, /^! Job 1 waits: pod research/m);
  assert.match(await text(site, "jobs", "show", "1"), advice);
  await terminal.until("-> Correct the image's name", watching);
  const { stdout } = await site.wps(["jobs", "cancel", "1"]);
  assert.match(stdout, /^ {2}cancel requested: it stops after the current step$/m);
  const { code } = await watching;
  assert.equal(code, 1);
  assert.match(await text(site, "jobs", "show", "1"), /^ {2}-> .*wps jobs retry 1$/m);
  const again = await site.wps(["jobs", "cancel", "1"]);
  assert.match(again.stderr, /Cannot cancel job 1: it was cancelled already/);
});

Deno.test("status: a permit that only waits for a person was looked at, and has no steps to count", async () => {
  await using site = await TestSite.make();
  await site.start();
  const event = {
    id: "a",
    type: "permit.status.updated",
    permitId: "permit-001",
    data: { status: "ANALYSIS_ACTIVE" },
  };
  await site.wps(["events", "send", await site.event("a", event)]);
  const terminal = new CapturedTerminal();
  const watching = site.wps(["jobs", "show", "1", "--follow"], { terminal });
  await terminal.until("waiting: no researcher has been named", watching);
  const status = await text(site, "status", "permit-001");
  assert.match(status, /^ {2}1 accepted event, no end date, seen (just now|\d)/m);
  assert.match(status, /^ {2}waiting: no researcher has been named/m);
  assert.doesNotMatch(status, / 0 steps/);
  await site.wps(["jobs", "cancel", "1"]);
  await watching;
});

Deno.test("plan, drift: a changed tier waits for the next start, and is named meanwhile", async () => {
  await using site = await TestSite.make("", "tiers: { standard: { cpu: 4, memory: 16Gi } }");
  await site.start();
  await reach(site, setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  assert.doesNotMatch(await text(site, "plan", "permit-001"), /outdated/);
  await site.stop();
  const before = await Deno.readTextFile(site.config);
  await Deno.writeTextFile(site.config, before.replace("memory: 16Gi", "memory: 32Gi"));
  await site.start();
  const line =
    /^research\/j\.virtanen is outdated: another image, tier or template waits for the next start$/m;
  for (const command of ["plan", "drift"]) {
    const shown = await text(site, command, "permit-001");
    assert.match(shown, line, command);
    assert.match(shown, /as it should be/, "it is no difference");
  }
  await reach(site, { id: "b", type: "permit.workspace.stop_requested", permitId: "permit-001", data: {} });
  await reach(site, { id: "c", type: "permit.workspace.start_requested", permitId: "permit-001", data: {} });
  assert.doesNotMatch(await text(site, "plan", "permit-001"), /outdated/, "the next start has taken it in");
});

Deno.test("status, plan, drift: a tier that an event changes waits for the next start, and is named meanwhile", async () => {
  const tiers = "tiers: { standard: { cpu: 4, memory: 16Gi }, large: { cpu: 16, memory: 64Gi } }";
  await using site = await TestSite.make("", `${tiers}\ndefaultTier: standard`);
  await site.start();
  await reach(site, setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  assert.doesNotMatch(await text(site, "status", "permit-001"), /outdated/);
  const tier = {
    id: "b",
    type: "permit.status.updated",
    permitId: "permit-001",
    revision: 2,
    data: { tier: "large" },
  };
  await reach(site, tier);
  for (const command of ["status", "plan", "drift"]) {
    const shown = await text(site, command, "permit-001");
    assert.match(shown, /outdated: another image, tier or template waits for the next start$/m, command);
    assert.doesNotMatch(shown, /drifted/, command);
  }
  assert.match(
    await text(site, "status", "permit-001"),
    /^permit-001 {2}RUNNING$/m,
    "nobody is restarted for it",
  );
  await reach(site, { id: "c", type: "permit.workspace.stop_requested", permitId: "permit-001", data: {} });
  await reach(site, { id: "d", type: "permit.workspace.start_requested", permitId: "permit-001", data: {} });
  for (const command of ["status", "plan"]) {
    assert.doesNotMatch(
      await text(site, command, "permit-001"),
      /outdated/,
      "the next start has taken it in",
    );
  }
});
