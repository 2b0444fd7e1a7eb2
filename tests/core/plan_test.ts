import assert from "node:assert/strict";
import type { Permit } from "../../src/core/permit.ts";
import { networkHash } from "../../src/core/workspace.ts";
import { desire } from "../../src/core/desired.ts";
import { nextStretch } from "../../src/runner/stretch.ts";
import { builtInPhases, type Journey, journey, permitOf, SITE, wishesOf } from "./plan_fixture.ts";

const phases = await builtInPhases();
const WISHES = wishesOf(phases);

/** What stands must be what the wish says, judged by the desired side and not by the plan. */
function assertReached(trip: Journey, permit: Permit, label: string): void {
  const observed = trip.platform.observe();
  const desired = desire({
    permit,
    records: [...trip.records.values()],
    observedVolumes: observed.volumes,
    phases,
    site: SITE,
    nowMs: 0,
  });
  assert.deepEqual(trip.platform.violations, [], label);
  assert.deepEqual(trip.planFor(permit).steps, [], `${label}: an empty plan when nothing differs`);
  if (desired.mode === "destroy") {
    assert.deepEqual(observed.workspaces, [], label);
    if (desired.volumes) {
      assert.deepEqual([observed.volumes, observed.scope], [[], { state: "absent" }], label);
    }
  }
  if (desired.mode === "hold") {
    assert.ok(observed.workspaces.every((w) => w.instances.length === 0 && w.power !== "running"), label);
  }
  if (desired.mode !== "apply") return;
  const running = desired.workspaces.filter(({ power }) => power === "running");
  const serving = observed.workspaces.filter(({ instances }) => instances.length > 0);
  assert.deepEqual(serving.map(({ key }) => key).sort(), running.map(({ key }) => key).sort(), label);
  for (const wanted of running) {
    const seen = serving.find(({ key }) => key === wanted.key);
    const mounts = seen?.instances[0]?.mounts.map(({ volumeKey, path, mode }) =>
      `${volumeKey} ${path} ${mode}`
    );
    assert.deepEqual(
      mounts,
      wanted.mounts.map(({ volumeKey, path, mode }) => `${volumeKey} ${path} ${mode}`),
      label,
    );
    assert.equal(seen?.network.state === "open" && seen.network.hash, networkHash(wanted), label);
  }
}

Deno.test("plan: leads from every wish to every other, safely, and then has nothing to do", () => {
  for (const [fromName, from] of WISHES) {
    for (const [toName, to] of WISHES) {
      if (from.deletion === "requested" && to.deletion !== "requested") continue; // deletion is final
      const trip = journey(phases);
      trip.reach(permitOf({ status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 }));
      trip.reach(permitOf(from));
      assertReached(trip, permitOf(from), fromName);
      trip.reach(permitOf(to));
      assertReached(trip, permitOf(to), `${fromName} → ${toName}`);
    }
  }
});

Deno.test("plan: takes over from any partially built state, whatever was asked before", () => {
  let crashes = 0;
  for (const [fromName, from] of WISHES.slice(1, 12)) {
    for (const [toName, to] of WISHES) {
      if (from.deletion === "requested") continue;
      for (let after = 0;; after += 3) {
        const trip = journey(phases);
        trip.reach(permitOf({ status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 }), 9);
        if (trip.reach(permitOf(from), after).length < after) break;
        trip.reach(permitOf(to));
        assertReached(trip, permitOf(to), `${fromName} cut off after ${after} actions → ${toName}`);
        crashes++;
      }
    }
  }
  assert.ok(crashes > 500, `only ${crashes} partial states were tried`);
});

Deno.test("plan: is deterministic", () => {
  for (const [name, wish] of WISHES) {
    const trip = journey(phases);
    assert.deepEqual(trip.planFor(permitOf(wish)), trip.planFor(permitOf(wish)), name);
  }
});

Deno.test("plan: cuts, sees it cut, stops, sees it gone, before anything is given", () => {
  const trip = journey(phases);
  trip.reach(permitOf({ status: "WORKSPACE_SETUP_PENDING" }));
  const kinds = trip.planFor(permitOf({ status: "ANALYSIS_ACTIVE" })).steps.map(({ kind }) => kind);
  assert.deepEqual([...new Set(kinds)].slice(0, 4), ["cut-network", "await-cut", "stop", "await-gone"]);
  assert.ok(kinds.indexOf("start") > kinds.lastIndexOf("await-gone"), kinds.join(" "));
});

Deno.test("plan: what is mended comes once the cut is seen, and waits for no pod", () => {
  const trip = journey(phases);
  trip.reach(permitOf({ status: "WORKSPACE_SETUP_PENDING" }));
  const { volumes, scope } = trip.platform.state;
  Object.assign(volumes.get("project") ?? {}, { retained: false });
  Object.assign(scope, { state: "incomplete", detail: "ResourceQuota is missing" });
  const { steps } = trip.planFor(permitOf({ status: "ANALYSIS_ACTIVE" }));
  const waves = [1, 2, 3, 4].map((number) => [
    ...new Set(steps.filter(({ wave }) => wave === number).map(({ kind }) => kind)),
  ]);
  assert.deepEqual(waves, [["cut-network"], ["await-cut"], ["stop"], [
    "ensure-scope",
    "retain-volume",
    "await-gone",
  ]]);
  for (const { network } of trip.platform.state.workspaces.values()) {
    Object.assign(network, { state: "breached", by: "NetworkPolicy wps-default-deny (altered)" });
  }
  const opened = trip.planFor(permitOf({ status: "ANALYSIS_ACTIVE" })).steps;
  const first = opened.filter(({ wave }) => wave === 1).map(({ kind }) => kind);
  assert.deepEqual(first, ["ensure-scope", "cut-network", "cut-network"], "the guard is what opens them");
});

Deno.test("plan: a deleted permit's namespace stays while anything foreign would go with it", () => {
  const deleted = permitOf({ status: "ANALYSIS_ACTIVE", deletion: "requested" });
  const trip = journey(phases);
  trip.reach(permitOf({ status: "ANALYSIS_ACTIVE" }));
  trip.platform.state.foreign.push({ object: "StatefulSet theirs", why: "it has no mark of WPS" });
  const applied = trip.reach(deleted);
  assert.ok(applied.includes("destroy-volume prepared"), "all of WPS's goes");
  const made = trip.planFor(deleted);
  assert.deepEqual([made.steps, made.obstacles.map(({ reason, target }) => [reason, target])], [
    [],
    [["foreign-object", "StatefulSet theirs"]],
  ]);
  assert.notEqual(trip.platform.state.scope.state, "absent");
  trip.platform.state.foreign.pop();
  assert.deepEqual(trip.reach(deleted), ["destroy-scope permit"]);
  trip.platform.state.foreign.push({ object: "Namespace wps-p", why: "it has no mark of WPS" });
  assert.deepEqual(trip.planFor(deleted).obstacles, [], "what is not in a namespace of WPS goes with none");
});

Deno.test("plan: back to setup after analysis gives fresh home and project and keeps the old ones", () => {
  const trip = journey(phases);
  trip.reach(permitOf({ status: "WORKSPACE_SETUP_PENDING" }));
  trip.reach(permitOf({ status: "ANALYSIS_ACTIVE" }));
  trip.reach(permitOf({ status: "WORKSPACE_SETUP_PENDING" }));
  const keys = trip.platform.observe().volumes.map(({ key }) => key);
  for (const key of ["project", "project@2", "home/j.virtanen", "home/j.virtanen@2"]) {
    assert.ok(keys.includes(key), key);
  }
  const mounted = trip.platform.observe().workspaces.flatMap((w) =>
    w.instances.flatMap((i) => i.mounts.map((m) => m.volumeKey))
  );
  assert.ok(!mounted.includes("project") && mounted.includes("project@2"), mounted.join(" "));
  trip.reach(permitOf({ status: "ANALYSIS_ACTIVE" }));
  trip.reach(permitOf({ status: "ANALYSIS_ACTIVE" }));
  assert.ok(
    !trip.platform.observe().volumes.some(({ key }) => key === "project@3"),
    "a fresh one only when tainted",
  );
});

Deno.test("plan: adding a person restarts nobody", () => {
  const trip = journey(phases);
  const one = permitOf({ status: "ANALYSIS_ACTIVE" });
  const alone = { ...one, members: { ...one.members, researchers: one.members.researchers.slice(0, 1) } };
  trip.reach(alone);
  const before = trip.platform.observe().workspaces.map((w) => w.instances[0]?.uid);
  const applied = trip.reach(one);
  assert.ok(!applied.some((id) => /^(cut-network|stop) /.test(id)), applied.join(", "));
  assert.equal(trip.platform.observe().workspaces[0]?.instances[0]?.uid, before[0]);
});

Deno.test("plan: names what stands in the way and gives nothing", () => {
  const cases: { name: string; interfere(trip: Journey): void; reason: string }[] = [
    {
      name: "a same-named object of somebody else",
      interfere: (trip) =>
        trip.platform.state.foreign.push({ object: "Secret research", why: "it has no mark of WPS" }),
      reason: "foreign-object",
    },
    {
      name: "a data volume that vanished must never be replaced by an empty one",
      interfere: (trip) =>
        trip.records.set("prepared", { key: "prepared", tainted: false, bound: true, destroyed: false }),
      reason: "volume-lost",
    },
  ];
  for (const { name, interfere, reason } of cases) {
    const trip = journey(phases);
    interfere(trip);
    const made = trip.planFor(permitOf({ status: "ANALYSIS_ACTIVE" }));
    assert.deepEqual([made.obstacles[0]?.reason, made.steps], [reason, []], name);
  }
});

Deno.test("plan: a phase whose person nobody has named waits, and does everything else", () => {
  const trip = journey(phases);
  const permit = permitOf({ status: "DATA_PREPARATION_PENDING" });
  const made = trip.planFor({ ...permit, members: { ...permit.members, preprocessor: null } });
  assert.equal(made.steps.at(-1)?.kind, "await-members");
});

Deno.test("plan: a network opened for a pod that is gone is shut before the new pod is proven and let in", () => {
  const trip = journey(phases);
  const permit = permitOf({ status: "ANALYSIS_ACTIVE" });
  trip.reach(permit);
  const workspace = trip.platform.state.workspaces.get("research/l.maes");
  const instance = workspace?.instances[0];
  assert.ok(instance !== undefined);
  instance.uid = "rescheduled";
  const kinds = trip.planFor(permit).steps.map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(0, 2), ["cut-network", "await-cut"]);
  assert.ok(!kinds.includes("stop") && !kinds.includes("start"), kinds.join(" "));
  const applied = trip.reach(permit);
  assert.ok(
    applied.indexOf("prove-isolation research/l.maes") < applied.indexOf("open-network research/l.maes"),
  );
  assertReached(trip, permit, "rescheduled");
});

Deno.test("plan: a pod whose rules were for another one ends, unless what denies all pods stands", () => {
  const trip = journey(phases);
  const permit = permitOf({ status: "ANALYSIS_ACTIVE" });
  trip.reach(permit);
  const [instance] = trip.platform.state.workspaces.get("research/l.maes")?.instances ?? [];
  assert.ok(instance !== undefined);
  instance.uid = "rescheduled";
  Object.assign(trip.platform.state.scope, {
    state: "incomplete",
    detail: "NetworkPolicy wps-default-deny is missing",
  });
  const ids = trip.planFor(permit).steps.map(({ id }) => id);
  assert.ok(ids.includes("stop research/l.maes"), ids.join(", "));
  assert.ok(!ids.includes("stop research/j.virtanen"), "its own rules hold it");
  trip.reach(permit);
  assertReached(trip, permit, "begun anew");
});

Deno.test("plan: an old pod that still ends is waited for by all who share a volume, whatever its power says", () => {
  for (const power of ["stopped", "running"] as const) {
    const trip = journey(phases);
    trip.reach(permitOf({ status: "WORKSPACE_SETUP_PENDING" }));
    for (const workspace of trip.platform.state.workspaces.values()) {
      workspace.power = power;
      workspace.network = { state: "shut", seen: { uid: "policy", version: "1" } };
      // One researcher's pod is gone already, the other's takes its grace period.
      if (workspace.owner === "j.virtanen") workspace.instances = [];
      else for (const instance of workspace.instances) instance.state = "terminating";
    }
    const { steps } = trip.planFor(permitOf({ status: "ANALYSIS_ACTIVE" }));
    const kinds = steps.map(({ kind }) => kind);
    assert.ok(kinds.indexOf("await-gone") >= 0, `${power}: ${kinds.join(" ")}`);
    const early = steps.slice(0, kinds.indexOf("await-gone")).map(({ id }) => id);
    const stops = ["stop research/j.virtanen", "stop research/l.maes"];
    assert.deepEqual(early, power === "running" ? stops : [], power);
    const waits = steps.filter(({ kind }) => kind === "await-gone").map(({ after }) => after);
    const workspaces = power === "running" ? ["research/j.virtanen", "research/l.maes"] : ["research/l.maes"];
    assert.deepEqual(waits, [[{ is: "instances-gone", workspaces }]], power);
  }
});

Deno.test("plan: what a controller has not read may still bring a pod, so nothing is given before it has", () => {
  const setup = permitOf({ status: "WORKSPACE_SETUP_PENDING" });
  const cases: { why: string; power: "running" | "stopped"; unsettled: string | null; first: RegExp[] }[] = [
    {
      why: "a pod of the old template may come beside data at any moment",
      power: "running",
      unsettled: null,
      first: [/^stop research\//, /^await-gone /],
    },
    {
      why: "the stop is written, and its controller still acts on the start before it",
      power: "stopped",
      unsettled: "its controller has not read it",
      first: [/^await-gone /],
    },
  ];
  for (const { why, power, unsettled, first } of cases) {
    const trip = journey(phases);
    trip.reach(setup);
    for (const workspace of trip.platform.state.workspaces.values()) {
      Object.assign(workspace, { power, unsettled, instances: [], network: { state: "shut", seen: null } });
    }
    const steps = trip.planFor(permitOf({ status: "ANALYSIS_ACTIVE" })).steps;
    const taint = steps.findIndex(({ kind }) => kind === "taint-volume");
    const early = [...new Set(steps.slice(0, taint).map(({ kind, target }) => `${kind} ${target}`))];
    for (const [index, pattern] of first.entries()) {
      const found = steps.filter(({ wave }) => wave === index + 1).map(({ id }) => id);
      assert.ok(found.length > 0 && found.every((id) => pattern.test(id)), `${why}: ${early.join(", ")}`);
    }
  }
  const trip = journey(phases);
  trip.reach(setup);
  for (const workspace of trip.platform.state.workspaces.values()) workspace.unsettled = "just written";
  assert.deepEqual(trip.planFor(setup).steps, [], "whoever runs as it should is left alone");
});

Deno.test("plan: what is lost, released or held is named or mended, never worked around or done again for ever", () => {
  const ingress = permitOf({ status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 });
  const prepare = permitOf({ status: "DATA_PREPARATION_PENDING", ingressBatch: 1 });
  const cases: {
    why: string;
    before: Permit[];
    wish: Permit;
    interfere(trip: Journey): void;
    first: RegExp;
  }[] = [
    {
      why: "lost uploads are never worked without",
      before: [ingress],
      wish: prepare,
      interfere: (trip) => trip.platform.state.volumes.delete("uploads/hospital-a"),
      first: /^obstacle volume-lost uploads\/hospital-a/,
    },
    {
      why: "released uploads are bound again before they are consolidated",
      before: [ingress, permitOf({ status: "ARCHIVED" })],
      wish: prepare,
      interfere: (trip) => setState(trip, "uploads/hospital-a", "released"),
      first: /rebind-volume uploads\/hospital-a/,
    },
    {
      why: "a claim that somebody deletes is waited for, and no password is made meanwhile",
      before: [permitOf({ status: "WORKSPACE_SETUP_PENDING" }), permitOf({ status: "ARCHIVED" })],
      wish: permitOf({ status: "WORKSPACE_SETUP_PENDING" }),
      interfere: (trip) => setState(trip, "project", "terminating"),
      first: /^await-volume project$/,
    },
    {
      why: "a pod on a lost node is stopped once and then waited for",
      before: [permitOf({ status: "ANALYSIS_ACTIVE" })],
      wish: permitOf({ status: "ARCHIVED" }),
      interfere: (trip) => {
        for (const workspace of trip.platform.state.workspaces.values()) {
          Object.assign(workspace, { power: "stopped", network: { state: "shut", seen: null } });
          for (const instance of workspace.instances) instance.state = "unreachable";
        }
      },
      first: /^await-gone pods$/,
    },
    {
      why:
        "a bound volume that is not retained is one deletion away from being lost, whatever the phase wants",
      before: [permitOf({ status: "ANALYSIS_ACTIVE" }), permitOf({ status: "ARCHIVED" })],
      wish: permitOf({ status: "ARCHIVED" }),
      interfere: (trip) =>
        Object.assign(trip.platform.state.volumes.get("prepared") ?? {}, { retained: false }),
      first: /^retain-volume prepared$/,
    },
  ];
  for (const { why, before, wish, interfere, first } of cases) {
    const trip = journey(phases);
    for (const permit of before) trip.reach(permit);
    interfere(trip);
    const { steps, obstacles } = trip.planFor(wish);
    const wave = steps.filter((step) => step.wave === 1).map(({ id }) => id).join(", ");
    const said = obstacles.map(({ reason, target }) => `obstacle ${reason} ${target}`).join(", ");
    assert.match(said === "" ? wave : said, first, `${why}: ${JSON.stringify(steps.map(({ id }) => id))}`);
  }
});

Deno.test("plan: uploads are destroyed only once what holds their copies is retained", () => {
  const trip = journey(phases);
  trip.reach(permitOf({ status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 }));
  const prepare = permitOf({ status: "DATA_PREPARATION_PENDING", ingressBatch: 1 });
  let destroyed = false;
  for (let round = 0; round < 20 && !destroyed; round++) {
    for (const { action } of nextStretch(trip.planFor(prepare).steps).waves.flat()) {
      if (action.kind === "destroy-volume") {
        destroyed = true;
        assert.equal(
          trip.platform.state.volumes.get("raw")?.retained,
          true,
          "the only copy must be retained",
        );
      }
      trip.platform.apply(action);
    }
    trip.platform.tick();
  }
  assert.ok(destroyed, "the uploads were consolidated");
});

function setState(trip: Journey, key: string, state: "released" | "terminating"): void {
  const volume = trip.platform.state.volumes.get(key);
  assert.ok(volume !== undefined, key);
  volume.state = state;
}
