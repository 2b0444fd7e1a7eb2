import assert from "node:assert/strict";
import type { Instance, Observed, ObservedTask, ObservedVolume } from "../../src/core/observed.ts";
import type { Condition } from "../../src/core/step.ts";
import { troubleOf } from "../../src/core/trouble.ts";
import { parseVolumeKey } from "../../src/core/volume.ts";
import { neverSeen } from "../conformance/fixtures.ts";
import { UNASKED } from "./paper_platform.ts";

const POD: Instance = {
  uid: "1",
  name: "pod-a",
  state: "pending",
  ready: false,
  specHash: "",
  mounts: [{ volume: parseVolumeKey("raw"), volumeKey: "raw", path: "/raw", mode: "ro" }],
  gated: true,
  node: null,
  reason: "Unschedulable: 0/1 nodes",
  trouble: "unschedulable",
};

const VOLUME: ObservedVolume = {
  id: parseVolumeKey("raw"),
  key: "raw",
  name: "vol-raw",
  state: "pending",
  retained: false,
  tainted: false,
  size: "1Gi",
  detail: "PVC vol-raw is Pending: storage class fast does not exist",
  trouble: "storage-class-missing",
  seen: null,
};

const TASK: ObservedTask = {
  key: "uploads/h",
  name: "task-h",
  state: "running",
  message: null,
  trouble: { reason: "image-unavailable", text: "ErrImagePull: no such host" },
  pods: [{ uid: "u", name: "task-h-1", mounts: [], gated: true }],
  network: { state: "shut" },
  terminating: null,
  seen: null,
};

function seen(pods: Instance[], volumes: ObservedVolume[] = [], tasks: ObservedTask[] = []): Observed {
  const workspace = { ...neverSeen("research/a"), power: "running", instances: pods } as const;
  const scope = { state: "intact", name: "wps-p", detail: null, seen: null } as const;
  return {
    permitId: "p",
    scope,
    workspaces: [workspace],
    volumes,
    tasks,
    foreign: [],
    objects: [],
    canaries: UNASKED,
    atMs: 0,
  };
}

const READY: Condition = { is: "ready", workspace: "research/a" };
const CONSOLIDATED: Condition = { is: "consolidated", uploads: ["uploads/h"] };
const CASES: {
  why: string;
  condition: Condition;
  observed: Observed;
  reason: string | null;
  text?: RegExp;
}[] = [
  { why: "no pod yet is no trouble", condition: READY, observed: seen([]), reason: null },
  { why: "a pod's own", condition: READY, observed: seen([POD]), reason: "unschedulable" },
  {
    why: "a pod that is ready has none left",
    condition: READY,
    observed: seen([{ ...POD, state: "running", ready: true }]),
    reason: null,
  },
  {
    why: "its volume's before its own: that is the cause",
    condition: READY,
    observed: seen([POD], [VOLUME]),
    reason: "storage-class-missing",
    text: /storage class fast/,
  },
  {
    why: "a volume that it does not mount is not its trouble",
    condition: READY,
    observed: seen([{ ...POD, mounts: [] }], [VOLUME]),
    reason: "unschedulable",
  },
  {
    why: "a volume's",
    condition: { is: "volumes-usable", volumes: ["raw"] },
    observed: seen([], [VOLUME]),
    reason: "storage-class-missing",
  },
  {
    why: "a consolidation's pod without an image",
    condition: CONSOLIDATED,
    observed: seen([], [], [TASK]),
    reason: "image-unavailable",
    text: /ErrImagePull/,
  },
  {
    why: "one that has ended has no trouble of that kind",
    condition: CONSOLIDATED,
    observed: seen([], [], [{ ...TASK, state: "failed" }]),
    reason: null,
  },
  {
    why: "going away has names of its own",
    condition: { is: "scope-gone" },
    observed: seen([POD]),
    reason: null,
  },
];

for (const { why, condition, observed, reason, text } of CASES) {
  Deno.test(`troubleOf: ${why}`, () => {
    const found = troubleOf([condition], observed);
    assert.equal(found?.reason ?? null, reason);
    if (text !== undefined) assert.match(found?.text ?? "", text);
    if (found === null) return;
    assert.ok(found.remedy.length > 20, "it says what to do");
    assert.ok(found.advice.startsWith(found.remedy), "while it waits, perhaps also what follows");
    assert.doesNotMatch(found.remedy, /by itself/, "nothing follows once the wait was given up");
  });
}
