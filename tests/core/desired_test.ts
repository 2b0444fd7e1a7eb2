import assert from "node:assert/strict";
import { desire, type Desired } from "../../src/core/desired.ts";
import type { ObservedVolume } from "../../src/core/observed.ts";
import type { Permit, VolumeRecord } from "../../src/core/permit.ts";
import { boundVolume } from "../conformance/fixtures.ts";
import { builtInPhases, MEMBERS, permitOf, SITE } from "./plan_fixture.ts";

const phases = await builtInPhases();
const NOW_MS = Date.UTC(2026, 10, 22);

function record(key: string, given: Partial<VolumeRecord> = {}): VolumeRecord {
  return { key, tainted: false, bound: true, destroyed: false, ...given };
}

function wish(
  permit: Partial<Permit>,
  records: VolumeRecord[] = [],
  observedVolumes: ObservedVolume[] = [],
): Desired {
  return desire({ permit: permitOf(permit), records, observedVolumes, phases, site: SITE, nowMs: NOW_MS });
}

type Applied = Extract<Desired, { mode: "apply" }>;

function applied(...input: Parameters<typeof wish>): Applied {
  const desired = wish(...input);
  assert.ok(desired.mode === "apply", desired.mode);
  return desired;
}

/** "research/j.virtanen running isolated: prepared ro /data/prepared, …" */
function described({ workspaces }: Applied): string[] {
  return workspaces.map(({ key, power, posture, mounts }) =>
    `${key} ${power} ${posture}: ${
      mounts.map(({ volumeKey, mode, path }) => `${volumeKey} ${mode} ${path}`).join(", ")
    }`
  );
}

Deno.test("desire: deletion comes before halt, halt before any status", () => {
  const cases: [Partial<Permit>, Desired][] = [
    [{ status: "ANALYSIS_ACTIVE", deletion: "requested" }, { mode: "destroy", volumes: true }],
    [{ status: "ANALYSIS_ACTIVE", deletion: "done" }, { mode: "destroy", volumes: true }],
    [{ status: "ANALYSIS_ACTIVE", deletion: "requested", halted: true }, { mode: "destroy", volumes: false }],
    [{ status: "ANALYSIS_ACTIVE", halted: true }, { mode: "hold", why: "the permit is halted" }],
    [{ status: "NOT_A_STATUS" }, { mode: "unknown", status: "NOT_A_STATUS" }],
    [{ status: "NOT_A_STATUS", halted: true }, { mode: "hold", why: "the permit is halted" }],
  ];
  for (const [permit, expected] of cases) assert.deepEqual(wish(permit), expected, JSON.stringify(permit));
});

Deno.test("desire: a permit's date ends it by the clock alone, before any status and after deletion and halt", () => {
  const past = "2026-11-22T00:00:00.000Z", future = "2026-11-22T00:00:00.001Z";
  const over: Desired = { mode: "hold", why: `the permit expired at ${past}` };
  const cases: [why: string, permit: Partial<Permit>, mode: Desired["mode"]][] = [
    ["the very moment counts", { status: "ANALYSIS_ACTIVE", expiresAt: past }, "hold"],
    ["a millisecond before it does not", { status: "ANALYSIS_ACTIVE", expiresAt: future }, "apply"],
    ["no date, no end", { status: "ANALYSIS_ACTIVE", expiresAt: null }, "apply"],
    ["on record: a clock that went back opens nothing", {
      status: "ANALYSIS_ACTIVE",
      expiresAt: future,
      expired: true,
    }, "hold"],
    ["no status has come yet", { status: null, expiresAt: past }, "hold"],
    ["nobody knows the status: it is held all the same", { status: "NOT_A_STATUS", expiresAt: past }, "hold"],
    ["what is no instant ended long ago", { status: "ANALYSIS_ACTIVE", expiresAt: "x" }, "hold"],
    ["deletion goes on", { status: "ANALYSIS_ACTIVE", expiresAt: past, deletion: "requested" }, "destroy"],
  ];
  for (const [why, permit, mode] of cases) assert.equal(wish(permit).mode, mode, why);
  assert.deepEqual(wish({ status: "ANALYSIS_ACTIVE", expiresAt: past }), over);
  assert.deepEqual(wish({ expiresAt: past, halted: true }), { mode: "hold", why: "the permit is halted" });
});

const STATUSES: { why: string; permit: Partial<Permit>; workspaces: string[] }[] = [
  { why: "nothing has come yet", permit: { status: null }, workspaces: [] },
  { why: "waiting for data", permit: { status: "AWAITING_INGRESS" }, workspaces: [] },
  {
    why: "an airlock per holder, each with its own uploads",
    permit: { status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 2 },
    workspaces: [
      "airlock/hospital-a running inbound-allowlist: uploads/hospital-a@2 wo /uploads/hospital-a",
      "airlock/hospital-b running inbound-allowlist: uploads/hospital-b@2 wo /uploads/hospital-b",
    ],
  },
  {
    why: "review: the other stopped and kept",
    permit: { status: "DATA_PREPARATION_REVIEW_PENDING" },
    workspaces: [
      "preprocessing/m.keller stopped isolated: raw ro /data/raw, prepared rw /data/prepared, " +
      "staff-home/preprocessing/m.keller rw /home/m.keller",
      "preparation-review/a.rossi running isolated: prepared ro /data/prepared, " +
      "staff-home/preparation-review/a.rossi rw /home/a.rossi",
    ],
  },
  {
    why: "setup: a way out and no data",
    permit: {
      status: "WORKSPACE_SETUP_PENDING",
      members: { ...MEMBERS, researchers: [{ username: "l.maes" }] },
    },
    workspaces: ["research/l.maes running proxied: project rw /project, home/l.maes rw /home/l.maes"],
  },
  {
    why: "setup review: everybody's home, read-only, by their names",
    permit: { status: "WORKSPACE_SETUP_REVIEW_PENDING" },
    workspaces: [
      "research/j.virtanen stopped isolated: project rw /project, home/j.virtanen rw /home/j.virtanen",
      "research/l.maes stopped isolated: project rw /project, home/l.maes rw /home/l.maes",
      "setup-review/a.rossi running isolated: home/j.virtanen ro /review/j.virtanen, " +
      "home/l.maes ro /review/l.maes, project ro /project, staff-home/setup-review/a.rossi rw /home/a.rossi",
    ],
  },
  { why: "archived", permit: { status: "ARCHIVED" }, workspaces: [] },
];

for (const { why, permit, workspaces } of STATUSES) {
  Deno.test(`desire: ${why}`, () => assert.deepEqual(described(applied(permit)), workspaces));
}

Deno.test("desire: a stop request stops research and nothing else", () => {
  const powers = (permit: Partial<Permit>): string[] =>
    applied({ ...permit, stopRequested: true }).workspaces.map(({ key, power }) => `${key} ${power}`);
  assert.deepEqual(powers({ status: "ANALYSIS_ACTIVE" }), [
    "research/j.virtanen stopped",
    "research/l.maes stopped",
  ]);
  assert.deepEqual(powers({ status: "DATA_PREPARATION_PENDING" }), ["preprocessing/m.keller running"]);
});

Deno.test("desire: accounts, group, tier and the holder's rules come along", () => {
  const [airlock] = applied({ status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 }).workspaces;
  assert.deepEqual([airlock?.account, airlock?.fsGroup, airlock?.tier, airlock?.allowedCidrs], [
    { username: "hospital-a-sftp", uid: 30001, gid: 30001 },
    30000,
    "standard",
    ["203.0.113.7/32"],
  ]);
});

Deno.test("desire: whose person nobody has named is missing, and everybody else is there", () => {
  const nobody = { ...MEMBERS, preprocessor: null, reviewer: null };
  const { missing, workspaces } = applied({ status: "DATA_PREPARATION_REVIEW_PENDING", members: nobody });
  assert.deepEqual([missing, workspaces], [["reviewer"], []], "a stopped one asks for nobody");
});

Deno.test("desire: a person without an account is a contradiction that names them", () => {
  assert.throws(() => wish({ status: "ANALYSIS_ACTIVE", accounts: {} }), {
    name: "Fault",
    disposition: "stalled",
    message: "Cannot plan permit-001: j.virtanen has no account",
  });
});

Deno.test("desire: analysis taints home and project before they are mounted beside data", () => {
  const { newlyTainted, sensitive, volumes } = applied({ status: "ANALYSIS_ACTIVE" });
  const tainted = ["home/j.virtanen", "home/l.maes", "project"];
  assert.deepEqual([...newlyTainted].sort(), tainted);
  assert.deepEqual([...sensitive].sort(), [...tainted, "outputs", "prepared"].sort());
  assert.deepEqual(
    volumes.filter((volume) => volume.sensitive).map(({ key }) => key).sort(),
    [...sensitive].sort(),
  );
  const again = applied({ status: "ANALYSIS_ACTIVE" }, tainted.map((key) => record(key, { tainted: true })));
  assert.deepEqual([...again.newlyTainted], [], "for good");
});

const GENERATIONS: {
  why: string;
  status: string;
  records?: VolumeRecord[];
  observedVolumes?: ObservedVolume[];
  project: string;
}[] = [
  { why: "the first", status: "WORKSPACE_SETUP_PENDING", project: "project" },
  {
    why: "the same while it is clean",
    status: "WORKSPACE_SETUP_PENDING",
    records: [record("project")],
    project: "project",
  },
  {
    why: "a fresh one once it is tainted on record",
    status: "WORKSPACE_SETUP_PENDING",
    records: [record("project", { tainted: true })],
    project: "project@2",
  },
  {
    why: "or on the volume alone: either counts",
    status: "WORKSPACE_SETUP_PENDING",
    records: [record("project")],
    observedVolumes: [boundVolume("project", { tainted: true })],
    project: "project@2",
  },
  {
    why: "not another one while the newest is clean",
    status: "WORKSPACE_SETUP_REWORK",
    records: [record("project", { tainted: true }), record("project@2")],
    project: "project@2",
  },
  {
    why: "the third after two tainted ones, counted and not sorted as text",
    status: "WORKSPACE_SETUP_PENDING",
    records: [2, 9, 10].map((n) => record(`project@${n}`, { tainted: true })),
    project: "project@11",
  },
  {
    why: "analysis mounts the newest, tainted or not",
    status: "ANALYSIS_ACTIVE",
    records: [record("project", { tainted: true }), record("project@2", { tainted: true })],
    project: "project@2",
  },
];

for (const { why, status, records = [], observedVolumes = [], project } of GENERATIONS) {
  Deno.test(`desire: generations: ${why}`, () => {
    const [workspace] = applied({ status }, records, observedVolumes).workspaces;
    const mount = workspace?.mounts.find(({ volume }) => volume.volume === "project");
    assert.equal(mount?.volumeKey, project);
  });
}

Deno.test("desire: a tainted volume is never mounted where there is a way out", () => {
  const keys = ["project", "home/j.virtanen", "home/l.maes"];
  const { workspaces, sensitive } = applied(
    { status: "WORKSPACE_SETUP_PENDING" },
    keys.map((key) => record(key, { tainted: true })),
  );
  for (const { mounts } of workspaces) {
    assert.ok(mounts.every(({ volumeKey }) => !sensitive.has(volumeKey)), JSON.stringify(mounts));
  }
});

const UPLOADS = ["uploads/hospital-a", "uploads/hospital-b"];
const BATCHES: {
  why: string;
  permit?: Partial<Permit>;
  records?: VolumeRecord[];
  volumes: ObservedVolume[];
  from: string[];
}[] = [
  { why: "each holder's uploads", volumes: UPLOADS.map((key) => boundVolume(key)), from: UPLOADS },
  { why: "none, none came", volumes: [], from: [] },
  {
    why: "not what is still open",
    permit: { ingressOpen: true, ingressBatch: 2 },
    volumes: [...UPLOADS, "uploads/hospital-a@2"].map((key) => boundVolume(key)),
    from: UPLOADS,
  },
  {
    why: "not what was destroyed after its copy",
    records: [record("uploads/hospital-a", { destroyed: true })],
    volumes: [boundVolume("uploads/hospital-b")],
    from: ["uploads/hospital-b"],
  },
  {
    why: "what was to be destroyed when a crash came, again",
    records: [record("uploads/hospital-a", { destroyed: true })],
    volumes: [boundVolume("uploads/hospital-a")],
    from: ["uploads/hospital-a"],
  },
  {
    why: "what vanished, so that its loss is noticed",
    records: [record("uploads/hospital-a")],
    volumes: [],
    from: ["uploads/hospital-a"],
  },
  {
    why: "also of a holder who is no longer named",
    permit: { members: { ...MEMBERS, dataHolders: [] } },
    volumes: UPLOADS.map((key) => boundVolume(key)),
    from: UPLOADS,
  },
];

for (const { why, permit = {}, records = [], volumes, from } of BATCHES) {
  Deno.test(`desire: consolidates ${why}`, () => {
    const given = { status: "DATA_PREPARATION_PENDING", ingressBatch: 1, ...permit };
    const { consolidations } = applied(given, records, volumes);
    assert.deepEqual(consolidations.map(({ fromKey }) => fromKey).sort(), from);
    for (const { into, folder, holder, fromKey } of consolidations) {
      assert.deepEqual([into.key, folder], ["raw", `${holder}/batch-1`], fromKey);
    }
  });
}

Deno.test("desire: sizes are the tier's where it names them, else the volume's own", () => {
  const site = {
    ...SITE,
    tiers: {
      standard: { cpu: "1", memory: "1Gi", sizes: { outputs: "5Gi" } },
      large: { cpu: "8", memory: "64Gi", sizes: { outputs: "500Gi" } },
    },
  };
  for (const [tier, size] of [[null, "5Gi"], ["large", "500Gi"]] as const) {
    const permit = permitOf({ status: "ANALYSIS_ACTIVE", tier });
    const desired = desire({ permit, records: [], observedVolumes: [], phases, site, nowMs: NOW_MS });
    assert.ok(desired.mode === "apply");
    const sizes = new Map(desired.volumes.map((volume) => [volume.key, volume.size]));
    assert.deepEqual([sizes.get("outputs"), sizes.get("prepared")], [
      size,
      phases.volumes.get("prepared")?.size,
    ]);
  }
});
