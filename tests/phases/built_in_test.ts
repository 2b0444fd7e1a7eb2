import assert from "node:assert/strict";
import type { Posture, WorkspaceRule } from "../../src/core/phase.ts";
import type { VolumeRule } from "../../src/core/volume.ts";
import { EVENT_TYPES } from "../../src/core/event.ts";
import { loadBuiltIn } from "./site.ts";

/** "raw:/data/raw:ro", with "home of researcher" where it is somebody else's. */
function mountsOf(workspace: WorkspaceRule): string[] {
  return workspace.mounts.map(({ volume, of, path, mode }) =>
    `${volume}${of === null ? "" : ` of ${of}`}:${path}:${mode}`
  );
}

type Row = [kind: string, role: string, power: string, network: Posture, protocol: string, mounts: string[]];

const PREPARING = ["raw:/data/raw:ro", "prepared:/data/prepared:rw", "staff-home:/home/{username}:rw"];
const SETTING_UP = ["project:/project:rw", "home:/home/{username}:rw"];

interface StatusCase {
  status: string;
  why: string;
  workspaces: Row[];
  keepsIngress?: boolean;
  consolidatesInto?: string;
  archives?: boolean;
}

const STATUSES: StatusCase[] = [
  {
    status: "AWAITING_INGRESS",
    why: "nothing new; a running airlock stays",
    workspaces: [],
    keepsIngress: true,
  },
  {
    status: "DATA_PREPARATION_PENDING",
    why: "uploads consolidated into raw; raw read-only, prepared read-write; isolated",
    workspaces: [["preprocessing", "preprocessor", "running", "isolated", "rdp", PREPARING]],
    consolidatesInto: "raw",
  },
  {
    status: "DATA_PREPARATION_REVIEW_PENDING",
    why: "preprocessing stopped; preparation-review running; prepared read-only; isolated",
    workspaces: [
      ["preprocessing", "preprocessor", "stopped", "isolated", "rdp", PREPARING],
      ["preparation-review", "reviewer", "running", "isolated", "rdp", [
        "prepared:/data/prepared:ro",
        "staff-home:/home/{username}:rw",
      ]],
    ],
  },
  {
    status: "DATA_PREPARATION_REWORK",
    why: "preparation-review gone; preprocessing running again",
    workspaces: [["preprocessing", "preprocessor", "running", "isolated", "rdp", PREPARING]],
    consolidatesInto: "raw",
  },
  {
    status: "WORKSPACE_SETUP_PENDING",
    why: "research, one per researcher; no data volume; egress only through the proxy",
    workspaces: [["research", "researcher", "running", "proxied", "rdp", SETTING_UP]],
  },
  {
    status: "WORKSPACE_SETUP_REVIEW_PENDING",
    why: "research stopped; home and project read-only to the reviewer; internet cut",
    workspaces: [
      ["research", "researcher", "stopped", "isolated", "rdp", SETTING_UP],
      ["setup-review", "setupReviewer", "running", "isolated", "rdp", [
        "home of researcher:/review/{owner}:ro",
        "project:/project:ro",
        "staff-home:/home/{username}:rw",
      ]],
    ],
  },
  {
    status: "WORKSPACE_SETUP_REWORK",
    why: "setup-review gone; research running again, proxied again",
    workspaces: [["research", "researcher", "running", "proxied", "rdp", SETTING_UP]],
  },
  {
    status: "ANALYSIS_ACTIVE",
    why: "isolated, prepared read-only, outputs read-write, project, home",
    workspaces: [["research", "researcher", "running", "isolated", "rdp", [
      "prepared:/data/prepared:ro",
      "outputs:/data/outputs:rw",
      ...SETTING_UP,
    ]]],
  },
  {
    status: "ARCHIVED",
    why: "none; all volumes kept, retention clock starts",
    workspaces: [],
    archives: true,
  },
];

function rows(workspaces: WorkspaceRule[]): Row[] {
  return workspaces.map((rule) =>
    [rule.kind, rule.role, rule.power, rule.network, rule.protocol, mountsOf(rule)] satisfies Row
  );
}

Deno.test("loadPhases: the built-in statuses are the rows of DESIGN 4", async (test) => {
  const phases = await loadBuiltIn();
  assert.deepEqual([...phases.statuses.keys()].sort(), STATUSES.map(({ status }) => status).sort());
  for (const expected of STATUSES) {
    await test.step(`${expected.status}: ${expected.why}`, () => {
      const phase = phases.statuses.get(expected.status);
      assert.ok(phase);
      assert.deepEqual(rows(phase.workspaces), expected.workspaces);
      assert.equal(phase.keepsIngress, expected.keepsIngress ?? false);
      assert.equal(phase.consolidatesInto, expected.consolidatesInto ?? null);
      assert.equal(phase.archives, expected.archives ?? false);
      assert.ok(phase.title.length > 0 && phase.description.length > 0);
    });
  }
});

Deno.test("loadPhases: the built-in events are the rows of DESIGN 4", async (test) => {
  const phases = await loadBuiltIn();
  const cases: [event: string, effect: string, workspaces: Row[], kinds: string[]][] = [
    ["permit.ingress.initiated", "open-ingress", [
      ["airlock", "dataHolder", "running", "inbound-allowlist", "sftp", ["uploads:/uploads/{holder}:wo"]],
    ], []],
    ["permit.workspace.stop_requested", "stop", [], ["research"]],
    ["permit.workspace.start_requested", "start", [], ["research"]],
    ["permit.deleted", "destroy", [], []],
  ];
  assert.deepEqual([...phases.events.keys()].sort(), cases.map(([event]) => event).sort());
  for (const [event, effect, workspaces, kinds] of cases) {
    await test.step(event, () => {
      const phase = phases.events.get(event);
      assert.ok(phase);
      assert.ok(EVENT_TYPES.some((type) => type === event), "intake must know the type");
      assert.equal(phase.effect, effect);
      assert.deepEqual(rows(phase.workspaces), workspaces);
      assert.deepEqual(phase.kinds, kinds);
    });
  }
});

Deno.test("loadPhases: the built-in volumes are those of DESIGN 4 and 8", async () => {
  const phases = await loadBuiltIn();
  const summary = (rule: VolumeRule): string =>
    `${rule.name} per ${rule.per}, ${rule.sensitive}, ${rule.access}`;
  assert.deepEqual([...phases.volumes.values()].map(summary), [
    "uploads per dataHolder, always, ReadWriteOnce",
    "raw per permit, always, ReadWriteMany",
    "prepared per permit, always, ReadWriteMany",
    "outputs per permit, always, ReadWriteMany",
    "project per permit, when-tainted, ReadWriteMany",
    "home per person, when-tainted, ReadWriteOnce",
    "staff-home per workspace, always, ReadWriteOnce",
  ]);
});
