/** Time, packets, interference and the watch of the simulated cluster. */
import assert from "node:assert/strict";
import { Fault } from "../../../src/core/fault.ts";
import { LabCluster } from "../../../src/drivers/lab/cluster.ts";
import { LabDriver } from "../../../src/drivers/lab/driver.ts";
import { LabInside } from "../../../src/drivers/lab/inside.ts";
import { LAB_TARGETS } from "../../../src/drivers/lab/network.ts";
import { LabOperator } from "../../../src/drivers/lab/operator.ts";
import type { Interference } from "../../../src/drivers/lab/request.ts";
import { DEFAULT_LAB_SETTINGS, labSection, labSettings } from "../../../src/drivers/lab/settings.ts";
import { FS_GROUP, mount, volume, workspace } from "../../conformance/fixtures.ts";
import { Trial } from "../../conformance/trial.ts";
import { FakeClock } from "../../fake_clock.ts";
import { labBackend } from "./backend.ts";

const NEVER = new AbortController().signal;

/** A namespace, a bound volume, a workspace in the making; all written within the first instant. */
async function history(stepMs: number): Promise<string> {
  const clock = new FakeClock();
  const settings = { ...DEFAULT_LAB_SETTINGS, latencyMs: 0 };
  const cluster = new LabCluster({ clock, settings });
  const driver = new LabDriver({ cluster, clock });
  const context = {
    permitId: "p",
    signal: NEVER,
    password: () => Promise.resolve(""),
    hostKey: () => Promise.resolve(""),
  };
  const research = workspace("research/a", { mounts: [mount("project", "rw")] });
  await driver.apply({ kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen: null }, context);
  await driver.apply({ kind: "ensure-volume", volume: volume("project"), seen: null }, context);
  await driver.apply({ kind: "ensure-identity", workspace: research, rotate: true }, context);
  await driver.apply({ kind: "start", workspace: research, seen: null }, context);
  for (let passedMs = 0; passedMs < 2_000; passedMs += stepMs) {
    await clock.advance(stepMs);
    cluster.advance();
  }
  return cluster.toJson();
}

Deno.test("LabCluster.advance: the same happens whether looked at often or once", async () => {
  const once = await history(2_000);
  assert.equal(await history(1), once);
  assert.equal(await history(50), once);
  const [scope] = Object.values(JSON.parse(once).scopes as Record<string, { pods: Record<string, unknown> }>);
  assert.ok(JSON.stringify(scope?.pods).includes('"ready":true'), "something has happened");
});

Deno.test("LabCluster.advance: each change is told at its own instant, in order", async () => {
  const backend = labBackend();
  const instants: number[] = [];
  const release = backend.cluster.onChange((world) => void instants.push(world.nowMs));
  const trial = new Trial(backend, "p");
  await trial.scope();
  await trial.volumes(volume("project"));
  await trial.write(workspace("research/a", { mounts: [mount("project", "rw")] }));
  const writtenMs = backend.clock.now();
  await backend.clock.sleep(60_000);
  instants.length = 0;
  backend.cluster.advance();
  assert.ok(instants.length >= 2, "running and ready are two changes");
  assert.deepEqual(instants, [...instants].sort((a, b) => a - b));
  assert.ok(instants.every((atMs) => atMs <= writtenMs + 1_000), "not all at the moment of the look");
  release();
  await backend.close();
});

Deno.test("settleNetwork: a policy is enforced only a moment after its acknowledgement", async () => {
  const backend = labBackend({ enforceMs: 500 });
  const trial = new Trial(backend, "p");
  const research = workspace("research/a", { posture: "proxied" });
  await trial.scope();
  await trial.start(research);
  await backend.clock.sleep(600);
  await trial.open(research);
  const inside = new LabInside(backend.cluster);
  assert.equal(inside.canReach("p", research.key, "proxy"), false, "not yet open");
  await backend.clock.sleep(600);
  assert.equal(inside.canReach("p", research.key, "proxy"), true);
  await trial.apply({ kind: "cut-network", workspace: await trial.workspace(research.key) });
  assert.equal(inside.canReach("p", research.key, "proxy"), true, "not yet shut");
  const refusal = await trial.refused({
    kind: "prove-isolation",
    workspace: research,
    instanceUid: inside.pod("p", research.key).uid,
  }, { reason: "isolation-unproven" });
  assert.match(refusal.message, /proxy/);
  await backend.clock.sleep(600);
  assert.equal(inside.canReach("p", research.key, "proxy"), false);
  await backend.close();
});

Deno.test("gate: what passes only because the canaries were silent is known to the truth, and to nobody else", async () => {
  const cases = [
    { why: "policies are enforced", enforceMs: 10, silent: false, isBlind: false },
    { why: "policies are enforced, so silence hides nothing", enforceMs: 10, silent: true, isBlind: false },
    {
      why: "nothing holds it back, and nobody was there to show it",
      enforceMs: 1e9,
      silent: true,
      isBlind: true,
    },
  ];
  for (const { why, enforceMs, silent, isBlind } of cases) {
    const backend = labBackend({ enforceMs });
    const trial = new Trial(backend, "p");
    const research = workspace("research/a", { sensitive: true });
    await trial.scope();
    await trial.canaries();
    if (silent) new LabOperator(backend.cluster).silence([...LAB_TARGETS]);
    await trial.apply({ kind: "ensure-identity", workspace: research, rotate: true });
    await trial.apply({ kind: "start", workspace: research, seen: null });
    await trial.until("it is ready", ({ workspaces }) => workspaces[0]?.instances[0]?.ready === true);
    const { gate } = new LabInside(backend.cluster).pod("p", research.key);
    assert.deepEqual([gate.passed, gate.blind], [true, isBlind], why);
    await backend.close();
  }
});

Deno.test("LabDriver: interference fails a call before or after its effect, or delays it", async () => {
  const fault = new Fault("retry", "timeout", "Cannot reach the lab: interfered with");
  const cases: [Interference, boolean, boolean, number, string][] = [
    [{ kind: "none" }, true, true, 2, "nothing goes wrong"],
    [{ kind: "fail-before", fault }, false, false, 1, "the write never arrived"],
    [{ kind: "fail-after", fault }, false, true, 1, "time-out after success"],
    [{ kind: "delay", ms: 300 }, true, true, 302, "a slow server"],
  ];
  for (const [interference, succeeds, acts, tookMs, why] of cases) {
    const clock = new FakeClock({ auto: true });
    const cluster = new LabCluster({ clock, settings: DEFAULT_LAB_SETTINGS });
    const quiet = new LabDriver({ cluster, clock });
    const context = {
      permitId: "p",
      signal: NEVER,
      password: () => Promise.resolve(""),
      hostKey: () => Promise.resolve(""),
    };
    await quiet.apply({ kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen: null }, context);
    const asked: string[] = [];
    const driver = new LabDriver({
      cluster,
      clock,
      interfere: ({ permitId, verb, what }) => {
        asked.push(`${permitId} ${verb} ${what.split(" ")[0]}`);
        return interference;
      },
    });
    const startMs = clock.now();
    const outcome = await driver.apply(
      { kind: "ensure-volume", volume: volume("project"), seen: null },
      context,
    )
      .then(() => true, (thrown) => {
        assert.equal(thrown, fault, why);
        return false;
      });
    assert.deepEqual([outcome, clock.now() - startMs], [succeeds, tookMs], why);
    assert.deepEqual(asked, ["p ensure-volume persistentvolumeclaim"], why);
    const { volumes } = await quiet.observe("p", NEVER);
    assert.equal(volumes.length === 1, acts, why);
    clock.stop();
  }
});

Deno.test("LabDriver: an action that is aborted between two writes leaves the second undone", async () => {
  const clock = new FakeClock({ auto: true });
  const cluster = new LabCluster({ clock, settings: DEFAULT_LAB_SETTINGS });
  const stop = new AbortController();
  const driver = new LabDriver({
    cluster,
    clock,
    interfere: ({ what }) => {
      if (what.startsWith("limitrange")) stop.abort();
      return { kind: "none" };
    },
  });
  const context = {
    permitId: "p",
    signal: stop.signal,
    password: () => Promise.resolve(""),
    hostKey: () => Promise.resolve(""),
  };
  await assert.rejects(
    driver.apply({ kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen: null }, context),
    (thrown) => thrown instanceof Fault && thrown.disposition === "cancelled",
  );
  const { scope } = await driver.observe("p", NEVER);
  assert.ok(scope.state === "incomplete" && scope.detail?.includes("networkpolicy default-deny is missing"));
  clock.stop();
});

Deno.test("LabDriver.watch: tells of what happens by itself, though nobody looks", async () => {
  const backend = labBackend();
  const trial = new Trial(backend, "p");
  await trial.scope();
  await trial.write(workspace("research/a"));
  const told: [string, number][] = [];
  const stop = new AbortController();
  const startMs = backend.clock.now();
  const watching = backend.driver.watch(
    (permitId) => told.push([permitId, backend.clock.now()]),
    stop.signal,
  );
  await backend.clock.sleep(5_000);
  const { syncMs, startMs: runMs, readyMs } = DEFAULT_LAB_SETTINGS;
  const last = told.at(-1) ?? assert.fail("nothing was told");
  assert.equal(last[0], "p");
  assert.ok(last[1] <= startMs + syncMs + runMs + readyMs, "told when it happened, not later");
  const count = told.length;
  await backend.clock.sleep(60_000);
  assert.equal(told.length, count, "nothing happens, nothing is told");
  stop.abort();
  await watching;
  await backend.close();
});

Deno.test("LabDriver.watch: begins with every permit, and tells of what is foreign only when that changes", async () => {
  const backend = labBackend();
  const trial = new Trial(backend, "p");
  const operator = new LabOperator(backend.cluster);
  await trial.scope();
  operator.addForeignPolicy("p", "standing");
  const told: string[] = [];
  const stop = new AbortController();
  const watching = backend.driver.watch((_permitId, whose) => told.push(whose), stop.signal);
  const next = async (change: () => void): Promise<string[]> => {
    told.length = 0;
    change();
    await backend.clock.sleep(5_000);
    return [...new Set(told)];
  };
  await backend.clock.sleep(5_000);
  assert.equal(told[0], "foreign", "what stands when it begins");
  assert.deepEqual(await next(() => operator.weakenDefaultDeny("p")), ["ours"], "while it stands");
  assert.ok((await next(() => operator.addForeignPolicy("p", "another"))).includes("foreign"));
  assert.ok((await next(() => operator.removePolicy("p", "another"))).includes("foreign"));
  stop.abort();
  await watching;
  await backend.close();
});

Deno.test("LabDriver.close: ends its watches", async () => {
  const backend = labBackend();
  const watching = backend.driver.watch(() => {}, NEVER);
  await backend.close();
  await watching;
});

Deno.test("labSettings: everything has a default, and durations are read with their unit", () => {
  assert.deepEqual(labSettings(labSection.parse({})), DEFAULT_LAB_SETTINGS);
  const given = labSettings(labSection.parse({ latency: "1s", nodes: 3, delays: { stop: "2m" } }));
  assert.deepEqual([given.latencyMs, given.nodes, given.stopMs, given.bindMs], [
    1_000,
    3,
    120_000,
    DEFAULT_LAB_SETTINGS.bindMs,
  ]);
  for (const bad of [{ nodes: 0 }, { latency: "1" }, { delays: { stop: "1h" } }, { speed: 1 }]) {
    assert.equal(labSection.safeParse(bad).success, false, JSON.stringify(bad));
  }
});
