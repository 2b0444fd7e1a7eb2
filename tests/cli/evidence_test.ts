/** `wps status PERMIT --evidence`, with the service and without it. */
import assert from "node:assert/strict";
import { setupEvent, TestSite } from "./site.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a";

Deno.test("status --evidence: each target, how it failed and what the control saw; also without the service", async (t) => {
  await using site = await TestSite.make();
  await site.start();
  for (const [at, status] of ["WORKSPACE_SETUP_PENDING", "ANALYSIS_ACTIVE"].entries()) {
    const file = await site.event(`e${at}`, setupEvent(`e${at}`, at + 1, status));
    assert.equal((await site.wps(["events", "send", file, "--follow"])).code, 0);
    if (at > 0) continue;
    const { stdout } = await site.wps(["status", "permit-001", "--evidence"]);
    assert.match(
      stdout,
      /^No proof of isolation is kept of permit-001: only workspaces and consolidations near sensitive data/,
    );
  }
  const seen = async (): Promise<string> => {
    const { code, stdout } = await site.wps(["status", "permit-001", "--evidence"]);
    assert.equal(code, 0);
    return stdout;
  };
  await t.step("for people", async () => {
    const stdout = await seen();
    for (const person of ["j.virtanen", "l.nowak"]) {
      assert.match(
        stdout,
        new RegExp(`^research/${person}  by its own gate, before anything was mounted$`, "m"),
      );
    }
    assert.match(stdout, /^ {2}rounds +\d+, the last [1-9]\d* reached nothing$/m);
    assert.match(stdout, /^ {2}policies +\d+ in force, hash \w+$/m);
    assert.match(stdout, /^ {2}TARGET +FROM THE WORKSPACE +CONTROL BEFORE +CONTROL AFTER$/m);
    assert.match(stdout, /^ {2}\S.* +(timed out|refused|no route) +alive +alive$/m);
  });
  await t.step("for machines", async () => {
    const { stdout } = await site.wps(["status", "permit-001", "--evidence", "--json"]);
    const proofs: { method: string; running: boolean }[] = JSON.parse(stdout);
    assert.deepEqual(proofs.map(({ method, running }) => [method, running]), [["gate", true], [
      "gate",
      true,
    ]]);
  });
  await t.step("an unknown permit", async () => {
    assert.equal((await site.wps(["status", "permit-9", "--evidence"])).code, 3);
  });
  await t.step("from the file, once the service is down; earlier instances on a line each", async () => {
    const file = await site.event("stop", {
      id: "stop",
      type: "permit.workspace.stop_requested",
      permitId: "permit-001",
      data: {},
    });
    assert.equal((await site.wps(["events", "send", file, "--follow"])).code, 0);
    await site.stop();
    assert.match(await seen(), /^Earlier instances\n {2}WORKSPACE .*REACHED\n {2}research\/\S+ .* 0$/m);
  });
});

Deno.test("status --evidence: a consolidation's gate beside the workspaces', kept when it is over", async () => {
  await using site = await TestSite.make();
  await site.start();
  const holder = {
    id: "hospital-a",
    username: "hospital-a",
    allowedCidrs: ["203.0.113.7/32"],
    sshPublicKeys: [KEY],
  };
  const first = setupEvent("a", 1, "AWAITING_INGRESS");
  const moves = [
    { ...first, data: { ...first["data"] as object, dataHolders: [holder] } }, // it is an object
    { id: "b", type: "permit.ingress.initiated", permitId: "permit-001", revision: 2, data: {} },
    setupEvent("c", 3, "DATA_PREPARATION_PENDING"),
  ];
  for (const [at, move] of moves.entries()) {
    const file = await site.event(`e${at}`, move);
    const { code, stdout, stderr } = await site.wps(["events", "send", file, "--follow"]);
    assert.equal(code, 0, stdout + stderr);
  }
  const { stdout } = await site.wps(["status", "permit-001", "--evidence"]);
  assert.match(stdout, /^preprocessing\/m\.keller {2}by its own gate, before anything was mounted$/m);
  assert.match(stdout, /^uploads\/hospital-a {2}consolidated, by the gate before it saw data$/m);
  assert.match(stdout, /^ {2}TARGET +FROM THE CONSOLIDATION +CONTROL BEFORE +CONTROL AFTER$/m);
  assert.match(stdout, /^ {2}\S.* +(timed out|refused|no route) +alive +not asked$/m);
  assert.match(stdout, /^ {2}control asked \d{4}\S+ \S+ before, not after$/m);
  const json = await site.wps(["status", "permit-001", "--evidence", "--json"]);
  const proofs: { workspace: string; method: string; pod: { uid: string } }[] = JSON.parse(json.stdout);
  const tasks = proofs.filter(({ method }) => method === "task");
  assert.deepEqual(
    tasks.map(({ workspace }) => workspace),
    ["uploads/hospital-a"],
    "once, however often seen",
  );
  // It is over, and so is its pod.
  const status = await site.wps(["status", "permit-001", "--json"]);
  assert.ok(!status.stdout.includes(tasks[0]?.pod.uid ?? ""));
});
