import assert from "node:assert/strict";
import type { Desired } from "../../src/core/desired.ts";
import type { Instance, ObservedNetwork, ObservedWorkspace } from "../../src/core/observed.ts";
import { newPermit, type Permit } from "../../src/core/permit.ts";
import { type JobGlimpse, permitStatus, workspaceStatus } from "../../src/core/permit_status.ts";
import type { EventPhase, PhaseSet, StatusPhase, WorkspaceRule } from "../../src/core/phase.ts";
import type { Status } from "../../src/core/status.ts";
import { type DesiredWorkspace, specHash } from "../../src/core/workspace.ts";

function wanted(owner: string, part: Partial<DesiredWorkspace> = {}): DesiredWorkspace {
  return {
    key: `research/${owner}`,
    kind: "research",
    owner,
    account: { username: owner, uid: 21001, gid: 21001 },
    fsGroup: 30000,
    power: "running",
    posture: "isolated",
    protocol: "rdp",
    mounts: [],
    allowedCidrs: [],
    sshPublicKeys: [],
    tier: "standard",
    sensitive: true,
    ...part,
  };
}

function instance(of: DesiredWorkspace, part: Partial<Instance> = {}): Instance {
  return {
    uid: "pod-1",
    name: "research-0",
    state: "running",
    ready: true,
    specHash: specHash(of),
    mounts: [],
    gated: false,
    node: "node-1",
    reason: null,
    ...part,
  };
}

const OPEN: ObservedNetwork = {
  state: "open",
  posture: "isolated",
  hash: "h",
  openedFor: "pod-1",
  seen: { uid: "n", version: "1" },
};
const SHUT: ObservedNetwork = { state: "shut", seen: null };

function seen(
  of: DesiredWorkspace,
  instances: Instance[],
  network: ObservedNetwork = OPEN,
): ObservedWorkspace {
  return {
    key: of.key,
    kind: of.kind,
    owner: of.owner,
    power: "running",
    specHash: specHash(of),
    outdated: false,
    identityHash: null,
    network,
    instances,
    endpoint: null,
    compute: null,
    unsettled: null,
    terminating: null,
  };
}

const A = wanted("a");
const B = wanted("b");
const usable = (of: DesiredWorkspace): ObservedWorkspace => seen(of, [instance(of)]);
const running: JobGlimpse = { state: "running", attempt: 1 };
const queued: JobGlimpse = { state: "queued", attempt: 0 };
const failed: JobGlimpse = { state: "failed", attempt: 5 };

interface WorkspaceCase {
  why: string;
  wanted: DesiredWorkspace | null;
  seen: ObservedWorkspace | null;
  job: JobGlimpse;
  is: Status;
}

const workspaceCases: WorkspaceCase[] = [
  { why: "ready, proven and open for its pod", wanted: A, seen: usable(A), job: null, is: "RUNNING" },
  {
    why: "an unrelated failed job does not unmake it",
    wanted: A,
    seen: usable(A),
    job: failed,
    is: "RUNNING",
  },
  {
    why: "ready but the network is still shut: not proven yet",
    wanted: A,
    seen: seen(A, [instance(A)], SHUT),
    job: running,
    is: "PROVISIONING",
  },
  {
    why: "the network was opened for an earlier pod",
    wanted: A,
    seen: seen(A, [instance(A, { uid: "pod-2" })]),
    job: running,
    is: "PROVISIONING",
  },
  {
    why: "the posture is the one of the phase before",
    wanted: A,
    seen: seen(A, [instance(A)], { ...OPEN, posture: "proxied" }),
    job: queued,
    is: "PROVISIONING",
  },
  {
    why: "the pod has the mounts of the phase before",
    wanted: A,
    seen: seen(A, [instance(A, { specHash: "other" })]),
    job: queued,
    is: "PROVISIONING",
  },
  {
    why: "a foreign policy opens the network",
    wanted: A,
    seen: seen(A, [instance(A)], { state: "breached", by: "x", seen: null }),
    job: null,
    is: "PROVISIONING",
  },
  {
    why: "the pod is not ready",
    wanted: A,
    seen: seen(A, [instance(A, { ready: false })]),
    job: null,
    is: "PROVISIONING",
  },
  {
    why: "its node does not answer",
    wanted: A,
    seen: seen(A, [instance(A, { state: "unreachable" })]),
    job: null,
    is: "PROVISIONING",
  },
  {
    why: "an old pod is still on its way out beside the new one",
    wanted: A,
    seen: seen(A, [instance(A), instance(A, { uid: "pod-0", state: "terminating" })]),
    job: running,
    is: "PROVISIONING",
  },
  {
    why: "only an old pod, on its way out",
    wanted: A,
    seen: seen(A, [instance(A, { state: "terminating" })], SHUT),
    job: running,
    is: "STOPPING",
  },
  { why: "nothing there, nobody has begun", wanted: A, seen: null, job: queued, is: "PENDING" },
  { why: "nothing there, no job (drift will find it)", wanted: A, seen: null, job: null, is: "PENDING" },
  {
    why: "nothing there, the operator cancelled",
    wanted: A,
    seen: null,
    job: { state: "cancelled", attempt: 1 },
    is: "PENDING",
  },
  { why: "nothing there, the job works", wanted: A, seen: null, job: running, is: "PROVISIONING" },
  {
    why: "nothing there, a retry is due later",
    wanted: A,
    seen: null,
    job: { state: "queued", attempt: 2 },
    is: "PROVISIONING",
  },
  { why: "the job gave up", wanted: A, seen: null, job: failed, is: "FAILED" },
  {
    why: "stopped as wanted",
    wanted: wanted("a", { power: "stopped" }),
    seen: seen(A, [], SHUT),
    job: null,
    is: "STOPPED",
  },
  {
    why: "never made, wanted stopped",
    wanted: wanted("a", { power: "stopped" }),
    seen: null,
    job: null,
    is: "STOPPED",
  },
  {
    why: "wanted stopped, pod still there",
    wanted: wanted("a", { power: "stopped" }),
    seen: usable(A),
    job: null,
    is: "STOPPING",
  },
  { why: "not named any more", wanted: null, seen: usable(A), job: null, is: "DESTROYING" },
  { why: "never was", wanted: null, seen: null, job: null, is: "DESTROYED" },
];

Deno.test("workspaceStatus: says RUNNING only of what is usable, and why not otherwise", () => {
  for (const { why, is, ...input } of workspaceCases) {
    assert.equal(workspaceStatus(input.wanted, input.seen, input.job), is, why);
  }
});

const RULE: WorkspaceRule = {
  kind: "research",
  role: "researcher",
  power: "running",
  network: "isolated",
  protocol: "rdp",
  mounts: [],
};

function phase(status: string, rules: WorkspaceRule[], archives = false): [string, StatusPhase] {
  return [status, {
    status,
    title: status,
    description: "",
    workspaces: rules,
    keepsIngress: false,
    consolidatesInto: null,
    archives,
  }];
}

const STOP: EventPhase = {
  event: "permit.workspace.stop_requested",
  title: "stop",
  description: "",
  effect: "stop",
  workspaces: [],
  kinds: ["research"],
};

const phases: PhaseSet = {
  statuses: new Map([
    phase("ANALYSIS", [RULE]),
    phase("REVIEW", [{ ...RULE, power: "stopped" }, { ...RULE, kind: "review", role: "reviewer" }]),
    phase("INGRESS", []),
    phase("ARCHIVED", [], true),
  ]),
  events: new Map([[STOP.event, STOP]]),
  volumes: new Map(),
};

function apply(workspaces: DesiredWorkspace[], missing: "researcher"[] = []): Desired {
  return {
    mode: "apply",
    workspaces,
    volumes: [],
    consolidations: [],
    missing,
    newlyTainted: new Set(),
    sensitive: new Set(),
  };
}

interface PermitCase {
  why: string;
  permit: Partial<Permit>;
  desired: Desired | null;
  observed: ObservedWorkspace[];
  job: JobGlimpse;
  is: Status;
}

const analysis: Partial<Permit> = { status: "ANALYSIS" };
const stoppedA = wanted("a", { power: "stopped" });
const reviewer = wanted("r", { key: "review/r", kind: "review" });

const NOW_MS = Date.UTC(2026, 10, 22);
const PAST = "2026-11-21T00:00:00.000Z";

const permitCases: PermitCase[] = [
  {
    why: "all run",
    permit: analysis,
    desired: apply([A, B]),
    observed: [usable(A), usable(B)],
    job: null,
    is: "RUNNING",
  },
  {
    why: "PENDING is worse than RUNNING",
    permit: analysis,
    desired: apply([A, B]),
    observed: [usable(A)],
    job: queued,
    is: "PENDING",
  },
  {
    why: "FAILED is worst",
    permit: analysis,
    desired: apply([A, B]),
    observed: [usable(A)],
    job: failed,
    is: "FAILED",
  },
  {
    why: "STOPPING is worse than RUNNING",
    permit: analysis,
    desired: apply([A, B]),
    observed: [usable(A), seen(B, [instance(B, { state: "terminating" })], SHUT)],
    job: running,
    is: "STOPPING",
  },
  {
    why: "what the phase does not name is not counted",
    permit: analysis,
    desired: apply([A]),
    observed: [usable(A), seen(B, [instance(B, { state: "terminating" })], SHUT)],
    job: running,
    is: "RUNNING",
  },
  {
    why: "what the phase wants stopped is not counted",
    permit: { status: "REVIEW" },
    desired: apply([stoppedA, reviewer]),
    observed: [usable(A), usable(reviewer)],
    job: running,
    is: "RUNNING",
  },
  {
    why: "somebody has yet to be named",
    permit: analysis,
    desired: apply([], ["researcher"]),
    observed: [],
    job: running,
    is: "PENDING",
  },
  {
    why: "no workspace named",
    permit: { status: "INGRESS" },
    desired: apply([]),
    observed: [],
    job: null,
    is: "NONE",
  },
  { why: "no status yet", permit: {}, desired: apply([]), observed: [], job: null, is: "NONE" },
  {
    why: "an airlock beside a phase that names nothing",
    permit: { status: "INGRESS", ingressOpen: true },
    desired: apply([A]),
    observed: [usable(A)],
    job: null,
    is: "RUNNING",
  },
  {
    why: "a phase that only stops things",
    permit: { status: "REVIEW" },
    desired: apply([stoppedA]),
    observed: [],
    job: null,
    is: "STOPPED",
  },
  {
    why: "a stop stands and is done",
    permit: { ...analysis, stopRequested: true },
    desired: apply([stoppedA]),
    observed: [seen(A, [], SHUT)],
    job: null,
    is: "STOPPED",
  },
  {
    why: "a stop stands and is under way",
    permit: { ...analysis, stopRequested: true },
    desired: apply([stoppedA]),
    observed: [usable(A)],
    job: running,
    is: "STOPPING",
  },
  {
    why: "a stop that concerns nothing of the phase does not count",
    permit: { status: "REVIEW", stopRequested: true },
    desired: apply([stoppedA, reviewer]),
    observed: [usable(reviewer)],
    job: null,
    is: "RUNNING",
  },
  {
    why: "archived and nothing left",
    permit: { status: "ARCHIVED" },
    desired: apply([]),
    observed: [],
    job: null,
    is: "ARCHIVED",
  },
  {
    why: "archived, something still runs",
    permit: { status: "ARCHIVED" },
    desired: apply([]),
    observed: [usable(A)],
    job: running,
    is: "STOPPING",
  },
  {
    why: "halted and seen so",
    permit: { ...analysis, halted: true },
    desired: { mode: "hold", why: "the permit is halted" },
    observed: [seen(A, [], SHUT)],
    job: null,
    is: "HALTED",
  },
  {
    why: "halted, a pod still there: not said before it is true",
    permit: { ...analysis, halted: true },
    desired: { mode: "hold", why: "the permit is halted" },
    observed: [usable(A)],
    job: running,
    is: "STOPPING",
  },
  {
    why: "halted, and the job that ends a consolidation is at it: no workspace shows that",
    permit: { ...analysis, halted: true },
    desired: { mode: "hold", why: "the permit is halted" },
    observed: [],
    job: running,
    is: "STOPPING",
  },
  {
    why: "halted while being deleted: nothing goes on until resume",
    permit: { ...analysis, halted: true, deletion: "requested" },
    desired: { mode: "destroy", volumes: false },
    observed: [],
    job: null,
    is: "HALTED",
  },
  {
    why: "being deleted",
    permit: { ...analysis, deletion: "requested" },
    desired: { mode: "destroy", volumes: true },
    observed: [],
    job: failed,
    is: "DESTROYING",
  },
  {
    why: "deleted",
    permit: { ...analysis, deletion: "done", halted: true },
    desired: { mode: "destroy", volumes: true },
    observed: [],
    job: null,
    is: "DESTROYED",
  },
  {
    why: "expired and seen so: nothing runs, everything else is kept",
    permit: { ...analysis, expiresAt: PAST },
    desired: { mode: "hold", why: "the permit expired" },
    observed: [seen(A, [], SHUT)],
    job: null,
    is: "STOPPED",
  },
  {
    why: "expired, a pod still there: not said before it is true",
    permit: { ...analysis, expiresAt: PAST },
    desired: { mode: "hold", why: "the permit expired" },
    observed: [usable(A)],
    job: null,
    is: "STOPPING",
  },
  {
    why: "expired, and its job is still at it",
    permit: { ...analysis, expiresAt: PAST },
    desired: { mode: "hold", why: "the permit expired" },
    observed: [],
    job: running,
    is: "STOPPING",
  },
  {
    why: "archived before it expired: that stays true",
    permit: { status: "ARCHIVED", expiresAt: PAST },
    desired: { mode: "hold", why: "the permit expired" },
    observed: [],
    job: null,
    is: "ARCHIVED",
  },
  {
    why: "halted and expired: the halt outlasts the date",
    permit: { ...analysis, halted: true, expiresAt: PAST },
    desired: { mode: "hold", why: "the permit is halted" },
    observed: [],
    job: null,
    is: "HALTED",
  },
  {
    why: "an expired permit that is deleted",
    permit: { ...analysis, expiresAt: PAST, deletion: "requested" },
    desired: { mode: "destroy", volumes: true },
    observed: [],
    job: null,
    is: "DESTROYING",
  },
  {
    why: "no phase file has the status",
    permit: { status: "STRANGE" },
    desired: { mode: "unknown", status: "STRANGE" },
    observed: [],
    job: null,
    is: "FAILED",
  },
  {
    why: "the desired side cannot be computed",
    permit: analysis,
    desired: null,
    observed: [],
    job: null,
    is: "FAILED",
  },
];

Deno.test("permitStatus: is the worst of what should run, and the permit's own word where it has one", () => {
  for (const { why, is, permit, desired, observed, job } of permitCases) {
    const word = permitStatus({
      permit: { ...newPermit("p"), ...permit },
      phases,
      desired,
      observed,
      job,
      nowMs: NOW_MS,
    });
    assert.equal(word, is, why);
  }
});
