/** Planner and lab together: a permit's whole life, judged at every instant on the lab's truth. */
import assert from "node:assert/strict";
import type { Permit } from "../../../src/core/permit.ts";
import { Fault } from "../../../src/core/fault.ts";
import type { Interfere, LabRequest } from "../../../src/drivers/lab/request.ts";
import { snapshotOf } from "../../../src/drivers/lab/snapshot.ts";
import { builtInPhases, permitOf } from "../../core/plan_fixture.ts";
import { SeededRandom } from "../../seeded_random.ts";
import { beginLife, type Life } from "./life.ts";

const phases = await builtInPhases();

const INGRESS: Partial<Permit> = { status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 };
const STATUSES: readonly Partial<Permit>[] = [
  "DATA_PREPARATION_PENDING",
  "DATA_PREPARATION_REVIEW_PENDING",
  "DATA_PREPARATION_REWORK",
  "WORKSPACE_SETUP_PENDING",
  "WORKSPACE_SETUP_REVIEW_PENDING",
  "WORKSPACE_SETUP_REWORK",
  "ANALYSIS_ACTIVE",
  "WORKSPACE_SETUP_PENDING",
  "ANALYSIS_ACTIVE",
  "ARCHIVED",
].map((status) => ({ status, ingressBatch: 1 }));

/** Both holders send a file, through their airlocks. */
function upload(life: Life): void {
  for (const holder of ["hospital-a", "hospital-b"]) {
    const path = `/uploads/${holder}/cohort.csv`;
    assert.ok(life.inside.writeInside("permit-001", `airlock/${holder}`, path, `rows of ${holder}`));
  }
}

async function liveThrough(life: Life): Promise<void> {
  await life.reach(permitOf(INGRESS));
  upload(life);
  for (const wish of STATUSES) {
    const last = await life.reach(permitOf(wish));
    assert.deepEqual(last.obstacles, [], wish.status ?? "");
    assert.deepEqual(life.violations(), [], wish.status ?? "");
  }
}

Deno.test("lab: a whole life is lived as the phases say, and leaves nothing", async () => {
  const life = beginLife(phases);
  try {
    await life.reach(permitOf(INGRESS));
    upload(life);
    await life.reach(permitOf({ status: "DATA_PREPARATION_PENDING", ingressBatch: 1 }));
    const prepared = snapshotOf(life.cluster, "permit-001");
    assert.deepEqual(prepared.pods.map(({ of, ready }) => [of, ready]), [["preprocessing/m.keller", true]]);
    const [raw] = prepared.volumes.filter(({ key }) => key === "raw");
    assert.deepEqual(raw?.files.map(({ path }) => path), [
      "hospital-a/batch-1.sha256",
      "hospital-a/batch-1/cohort.csv",
      "hospital-b/batch-1.sha256",
      "hospital-b/batch-1/cohort.csv",
    ]);
    assert.ok(
      prepared.volumes.every(({ key }) => !key.startsWith("uploads/")),
      "uploads went after their copy",
    );
    for (const wish of STATUSES) await life.reach(permitOf(wish));
    assert.deepEqual(snapshotOf(life.cluster, "permit-001").pods, [], "an archived permit runs nothing");
    await life.reach(permitOf({ status: "ARCHIVED", deletion: "requested" }));
    const { atMs: _time, ...left } = snapshotOf(life.cluster, "permit-001");
    const nothing = { pods: [], volumes: [], identities: [], stopped: [], tasks: [] };
    assert.deepEqual(left, { permitId: "permit-001", scope: "absent", ...nothing });
    assert.deepEqual(life.violations(), []);
  } finally {
    await life.close();
  }
});

Deno.test("lab: deletion reaches nothing from every phase", async () => {
  for (const wish of STATUSES) {
    const life = beginLife(phases);
    try {
      await life.reach(permitOf(INGRESS));
      upload(life);
      await life.reach(permitOf(wish));
      await life.reach(permitOf({ ...wish, deletion: "requested" }));
      const { scope, volumes } = snapshotOf(life.cluster, "permit-001");
      assert.deepEqual([scope, volumes], ["absent", []], wish.status ?? "");
      assert.deepEqual(life.violations(), [], wish.status ?? "");
    } finally {
      await life.close();
    }
  }
});

Deno.test("lab: an altered default-deny stops what ran under it, is healed, and all comes back", async () => {
  const life = beginLife(phases);
  try {
    const analysis = permitOf({ status: "ANALYSIS_ACTIVE", ingressBatch: 1 });
    await life.reach(analysis);
    const uids = (): string[] => snapshotOf(life.cluster, "permit-001").pods.map(({ uid }) => uid);
    const before = uids();
    life.operator.weakenDefaultDeny("permit-001");
    await life.clock.sleep(1_000);
    const last = await life.reach(analysis);
    assert.deepEqual([last.steps, last.obstacles], [[], []]);
    const { pods } = snapshotOf(life.cluster, "permit-001");
    assert.deepEqual(pods.map(({ leaves, enters, ready }) => [leaves, enters, ready]), [
      [[], ["gateway"], true],
      [[], ["gateway"], true],
    ]);
    assert.ok(pods.every(({ uid }) => !before.includes(uid)), "what was exposed is gone");
    assert.deepEqual(
      [...new Set(life.violations().map(({ invariant }) => invariant))],
      [1, 2],
      "it was seen",
    );
  } finally {
    await life.close();
  }
});

Deno.test("lab: a foreign policy stops what it opened, and all comes back once it is removed", async () => {
  const life = beginLife(phases);
  try {
    const analysis = permitOf({ status: "ANALYSIS_ACTIVE", ingressBatch: 1 });
    await life.reach(analysis);
    life.operator.addForeignPolicy("permit-001", "let-me-out");
    const blocked = await life.reach(analysis);
    assert.ok(blocked.obstacles.some(({ target }) => target.includes("let-me-out")));
    assert.deepEqual(snapshotOf(life.cluster, "permit-001").pods, []);
    life.operator.removePolicy("permit-001", "let-me-out");
    const last = await life.reach(analysis);
    assert.deepEqual([last.steps, last.obstacles], [[], []]);
    assert.equal(snapshotOf(life.cluster, "permit-001").pods.length, 2);
  } finally {
    await life.close();
  }
});

Deno.test("lab: a claim that somebody deletes is bound again to its data", async () => {
  const life = beginLife(phases);
  try {
    const analysis = permitOf({ status: "ANALYSIS_ACTIVE", ingressBatch: 1 });
    await life.reach(analysis);
    assert.ok(life.inside.writeInside("permit-001", "research/l.maes", "/data/outputs/result", "42"));
    life.operator.deleteClaim("permit-001", "outputs");
    await life.reach(permitOf({ status: "ARCHIVED", ingressBatch: 1 }));
    await life.reach(analysis);
    assert.equal(life.inside.readInside("permit-001", "research/j.virtanen", "/data/outputs/result"), "42");
    assert.deepEqual(life.violations(), []);
  } finally {
    await life.close();
  }
});

Deno.test("lab: a pod that is evicted is not reachable before its isolation was shown", async () => {
  const life = beginLife(phases);
  try {
    const analysis = permitOf({ status: "ANALYSIS_ACTIVE", ingressBatch: 1 });
    await life.reach(analysis);
    const [pod] = snapshotOf(life.cluster, "permit-001").pods;
    life.operator.deletePod("permit-001", pod?.name ?? "");
    await life.clock.sleep(2_000);
    const last = await life.reach(analysis);
    assert.deepEqual([last.steps, last.obstacles], [[], []]);
    const after = await life.observe();
    for (const { network, instances } of after.workspaces) {
      assert.equal(network.state === "open" ? network.openedFor : null, instances[0]?.uid);
    }
    assert.deepEqual(life.violations(), []);
  } finally {
    await life.close();
  }
});

Deno.test("lab: a life with failing calls ends the same and violates nothing", async () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= 8; seed++) {
    const random = new SeededRandom(seed);
    const interfere: Interfere = ({ verb }: LabRequest) => {
      const draw = random.next();
      const fault = new Fault("retry", "timeout", `Cannot finish ${verb}: it was interfered with`);
      if (draw < 0.1) return note({ kind: "fail-before", fault });
      if (draw < 0.2) return note({ kind: "fail-after", fault });
      return draw < 0.25 ? note({ kind: "delay", ms: 500 }) : { kind: "none" };
    };
    const note = <T extends { kind: string }>(interference: T): T => {
      kinds.add(interference.kind);
      return interference;
    };
    const life = beginLife(phases, { interfere });
    try {
      await liveThrough(life);
      await life.reach(permitOf({ status: "ARCHIVED", deletion: "requested" }));
      const { scope, volumes } = snapshotOf(life.cluster, "permit-001");
      assert.deepEqual([scope, volumes], ["absent", []], `seed ${seed}`);
      assert.deepEqual(life.violations(), [], `seed ${seed}`);
    } finally {
      await life.close();
    }
  }
  assert.deepEqual([...kinds].sort(), ["delay", "fail-after", "fail-before"], "each fault fired");
});
