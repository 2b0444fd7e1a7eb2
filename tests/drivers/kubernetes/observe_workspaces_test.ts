import assert from "node:assert/strict";
import { identityHash, type Mount, specHash } from "../../../src/core/workspace.ts";
import { parseVolumeKey } from "../../../src/core/volume.ts";
import { openPolicyManifest, rulesOf } from "../../../src/drivers/kubernetes/manifests/policy.ts";
import { DEFAULT_DENY_SPEC, scopeManifests } from "../../../src/drivers/kubernetes/manifests/scope.ts";
import { secretManifest } from "../../../src/drivers/kubernetes/manifests/identity.ts";
import { serviceManifest, statefulSetManifest } from "../../../src/drivers/kubernetes/manifests/workspace.ts";
import { readPodSpec } from "../../../src/drivers/kubernetes/observe/pod_spec.ts";
import { instanceOf, workspacesOf } from "../../../src/drivers/kubernetes/observe/workspaces.ts";
import type { Stored } from "../../../src/drivers/kubernetes/wire.ts";
import {
  airlock,
  asStored,
  NAMESPACE,
  PERMIT,
  research,
  settings,
  site,
  snapshot,
  TRAITS,
} from "./fixtures.ts";

type Pod = Stored<"pods">;

function mount(volumeKey: string, path: string, mode: Mount["mode"]): Mount {
  return { volume: parseVolumeKey(volumeKey), volumeKey, path, mode };
}

const MOUNTS = [
  mount("home/j.virtanen", "/home/j.virtanen", "rw"),
  mount("prepared", "/data/prepared", "ro"),
];
const WORKSPACE = research({ mounts: MOUNTS });
const SET = statefulSetManifest(PERMIT, WORKSPACE, site(), null);
const NAME = SET.metadata.name;
const { defaultDeny } = scopeManifests({
  permitId: PERMIT,
  fsGroup: 1,
  members: 1,
  secretsRole: "r",
  traits: TRAITS,
});
/** As the API server returns it: without the empty lists that were sent. */
const GUARD = { ...asStored(defaultDeny), spec: DEFAULT_DENY_SPEC };

/** The pod that the StatefulSet's controller makes; `change` alters what it runs with. */
function pod(change: (spec: NonNullable<Pod["spec"]>) => void = () => {}, more: Partial<Pod> = {}): Pod {
  const template = structuredClone(SET.spec?.template);
  const spec = template?.spec ?? assert.fail("no template");
  change(spec);
  return {
    metadata: {
      name: `${NAME}-0`,
      namespace: NAMESPACE,
      uid: "pod-uid",
      resourceVersion: "9",
      labels: template?.metadata?.labels,
      annotations: template?.metadata?.annotations,
    },
    spec: { ...spec, nodeName: "node-1" },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
    ...more,
  };
}

const NOWHERE = { nodes: new Map(), warnings: new Map(), claims: [], volumes: [] };
const HARMLESS: ReadonlySet<string> = new Set();

Deno.test("instanceOf: a ready pod tells its own spec and mounts, from its fields", () => {
  const instance = instanceOf(pod(), NOWHERE);
  const byPath = (a: Mount, b: Mount): number => a.path < b.path ? -1 : 1;
  assert.deepEqual({ ...instance, mounts: instance.mounts.sort(byPath) }, {
    uid: "pod-uid",
    name: `${NAME}-0`,
    state: "running",
    ready: true,
    specHash: specHash(WORKSPACE),
    mounts: [...MOUNTS].sort(byPath),
    gated: false,
    node: "node-1",
    reason: null,
    trouble: null,
  });
});

/** Each is another pod than the wanted one, however its annotations read. */
const ALTERED: {
  why: string;
  change: (spec: NonNullable<Pod["spec"]>) => void;
  expected: RegExp | "another hash";
}[] = [
  {
    why: "a read-only volume mounted read-write",
    change: (spec) => {
      for (const volume of spec.volumes ?? []) delete volume.persistentVolumeClaim?.readOnly;
      for (const entry of spec.containers[0]?.volumeMounts ?? []) delete entry.readOnly;
    },
    expected: "another hash",
  },
  {
    why: "a claim that its annotation does not name",
    change: (spec) => {
      spec.volumes?.push({ name: "x", persistentVolumeClaim: { claimName: "vol-raw" } });
      spec.containers[0]?.volumeMounts?.push({ name: "x", mountPath: "/x" });
    },
    expected: "another hash",
  },
  {
    why: "a second container that mounts the data",
    change: (spec) => {
      const name =
        spec.volumes?.find(({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined)?.name ?? "";
      spec.containers.push({ name: "sidecar", volumeMounts: [{ name, mountPath: "/d" }] });
    },
    expected: "another hash",
  },
  {
    why: "part of a volume",
    change: (spec) => {
      const data = spec.containers[0]?.volumeMounts?.find(({ mountPath }) => mountPath === "/data/prepared");
      if (data !== undefined) data.subPath = "part";
    },
    expected: "another hash",
  },
  {
    why: "another uid",
    change: (spec) => spec.securityContext = { runAsUser: 21002, runAsGroup: 21001 },
    expected: /uid or gid/,
  },
  {
    why: "another uid for the container alone",
    change: (spec) => Object.assign(spec.containers[0]?.securityContext ?? {}, { runAsUser: 0 }),
    expected: /somebody else/,
  },
  {
    why: "another name in the environment",
    change: (spec) => Object.assign(spec.containers[0]?.env?.[0] ?? {}, { value: "root" }),
    expected: /username/,
  },
  {
    why: "a proxy that its posture does not have",
    change: (spec) => spec.containers[0]?.env?.push({ name: "HTTP_PROXY", value: "x" }),
    expected: /posture/,
  },
  {
    why: "the node's network, which no policy binds",
    change: (spec) => spec.hostNetwork = true,
    expected: /node's network/,
  },
  {
    why: "no workspace in it",
    change: (spec) => spec.containers = [{ name: "other" }],
    expected: /no workspace container/,
  },
];

for (const { why, change, expected } of ALTERED) {
  Deno.test(`readPodSpec: never equals the wanted spec with ${why}`, () => {
    const { metadata, spec } = pod(change);
    const reading = readPodSpec(metadata.annotations ?? {}, spec, HARMLESS);
    assert.notEqual(reading.specHash, specHash(WORKSPACE));
    if (expected !== "another hash") assert.match(reading.specHash, expected);
  });
}

Deno.test("readPodSpec: another container without the permit's volumes changes nothing", () => {
  const { metadata, spec } = pod((spec) =>
    spec.containers.push({ name: "mesh", volumeMounts: [{ name: "tmp", mountPath: "/t" }] })
  );
  assert.equal(readPodSpec(metadata.annotations ?? {}, spec, HARMLESS).specHash, specHash(WORKSPACE));
});

Deno.test("readPodSpec: annotations that are gone or forged lead to another spec, never to an error", () => {
  const { metadata, spec } = pod();
  for (const keys of ["not json", '{"a":1}', '["project"]', undefined]) {
    const annotations = { ...metadata.annotations, "spe.wps/volume-keys": keys ?? "[]" };
    assert.notEqual(readPodSpec(annotations, spec, HARMLESS).specHash, specHash(WORKSPACE));
  }
  assert.match(readPodSpec({}, spec, HARMLESS).specHash, /altered/);
});

function node(status: string): Stored<"nodes"> {
  return {
    metadata: { name: "node-1", uid: "n", resourceVersion: "1" },
    status: { conditions: [{ type: "Ready", status }] },
  };
}

const DELETED = "2026-01-01T00:00:00Z";
const UNREADY = { phase: "Running", conditions: [{ type: "Ready", status: "False" }] };

/** Node of the pod; `absent`: the API server no longer knows it. */
const STATES: {
  why: string;
  status: Pod["status"];
  node?: "True" | "Unknown" | "absent";
  deleted?: boolean;
  finalizers?: string[];
  expected: string;
  reason: RegExp | null;
  trouble?: string;
}[] = [
  { why: "just made", status: { phase: "Pending" }, expected: "pending", reason: null },
  { why: "running, not ready", status: UNREADY, node: "True", expected: "running", reason: null },
  {
    why: "being deleted",
    status: UNREADY,
    node: "True",
    deleted: true,
    expected: "terminating",
    reason: /ending/,
  },
  {
    why: "being deleted, held by a finalizer",
    status: { phase: "Succeeded" },
    deleted: true,
    finalizers: ["example/stuck"],
    expected: "terminating",
    reason: /example\/stuck/,
  },
  {
    why: "on a node that does not answer",
    status: UNREADY,
    node: "Unknown",
    expected: "unreachable",
    reason: /node/,
  },
  {
    why: "deleted on a node that does not answer: it may still run (invariant 2)",
    status: UNREADY,
    node: "Unknown",
    deleted: true,
    expected: "unreachable",
    reason: /node/,
  },
  { why: "on a node that is gone", status: UNREADY, node: "absent", expected: "unreachable", reason: /node/ },
  {
    why: "ended on a node that is gone",
    status: { phase: "Failed" },
    node: "absent",
    expected: "failed",
    reason: null,
  },
  {
    why: "evicted",
    status: { phase: "Failed", reason: "Evicted", message: "low on disk" },
    expected: "failed",
    reason: /^Evicted: low on disk$/,
  },
  {
    why: "whose image cannot be had",
    status: {
      phase: "Pending",
      containerStatuses: [{
        name: "workspace",
        ready: false,
        restartCount: 0,
        image: "x",
        imageID: "",
        state: { waiting: { reason: "ImagePullBackOff", message: "no such image" } },
      }],
    },
    expected: "pending",
    reason: /^ImagePullBackOff: no such image$/,
    trouble: "image-unavailable",
  },
  {
    why: "that no node takes",
    status: {
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes" }],
    },
    expected: "pending",
    reason: /^Unschedulable: 0\/1 nodes$/,
    trouble: "unschedulable",
  },
  {
    why: "that crashes",
    status: {
      phase: "Running",
      containerStatuses: [{
        name: "workspace",
        ready: false,
        restartCount: 3,
        image: "x",
        imageID: "",
        state: { terminated: { exitCode: 137, reason: "OOMKilled" } },
      }],
    },
    node: "True",
    expected: "running",
    reason: /OOMKilled: exit code 137/,
  },
];

for (const { why, status, node: readiness, deleted, finalizers, expected, reason, trouble } of STATES) {
  Deno.test(`instanceOf: ${expected} for a pod ${why}`, () => {
    const given = pod();
    if (deleted) given.metadata.deletionTimestamp = DELETED;
    if (finalizers !== undefined) given.metadata.finalizers = finalizers;
    const nodes = new Map(
      readiness === undefined ? [] : [["node-1", readiness === "absent" ? null : node(readiness)]],
    );
    const instance = instanceOf({ ...given, status }, { ...NOWHERE, nodes });
    assert.deepEqual([instance.state, instance.ready], [expected, false]);
    if (reason !== null) assert.match(instance.reason ?? "", reason);
    assert.equal(instance.trouble, trouble ?? null);
  });
}

Deno.test("instanceOf: what only an event says is the last resort", () => {
  const warnings = new Map([["pod-uid", 'FailedMount: secret "x" not found']]);
  const instance = instanceOf({ ...pod(), status: { phase: "Pending" } }, { ...NOWHERE, warnings });
  assert.equal(instance.reason, 'FailedMount: secret "x" not found');
});

function whole(): NonNullable<Parameters<typeof snapshot>[0]> {
  return {
    statefulSets: [asStored(SET)],
    services: [asStored(serviceManifest(PERMIT, WORKSPACE, site()))],
    secrets: [asStored(secretManifest(PERMIT, WORKSPACE, { password: "p", hostKey: null }))],
    pods: [pod()],
  };
}

Deno.test("workspacesOf: everything of a workspace is gathered by its key", () => {
  const [observed, ...others] = workspacesOf(snapshot(whole()), site());
  assert.deepEqual(others, []);
  assert.deepEqual({ ...observed, instances: observed?.instances.length, network: observed?.network.state }, {
    key: "research/j.virtanen",
    kind: "research",
    owner: "j.virtanen",
    power: "running",
    specHash: specHash(WORKSPACE),
    outdated: false,
    tier: WORKSPACE.tier,
    identityHash: identityHash(WORKSPACE),
    identity: { uid: `uid-${NAME}`, version: "7" },
    network: "breached",
    instances: 1,
    endpoint: { protocol: "rdp", host: `${NAME}.${NAMESPACE}.svc.cluster.local`, port: 3389 },
    compute: { uid: `uid-${NAME}`, version: "7" },
    terminating: null,
    unsettled: null,
  });
});

Deno.test("workspacesOf: another count of pods than WPS asks for is an altered wish", () => {
  for (
    const [replicas, power, hash] of [
      [0, "stopped", specHash(WORKSPACE)],
      [1, "running", specHash(WORKSPACE)],
      [undefined, "running", specHash(WORKSPACE)],
      [2, "running", "altered: 2 replicas"],
    ] as const
  ) {
    const set = asStored(SET);
    const statefulSets = [{ ...set, spec: { ...set.spec, replicas } as typeof set.spec }]; // absent means one
    const [observed] = workspacesOf(snapshot({ ...whole(), statefulSets }), site());
    assert.deepEqual([observed?.power, observed?.specHash], [power, hash], `${replicas}`);
  }
});

const GENERATIONS: { why: string; generation: number; status: object | undefined; unsettled: boolean }[] = [
  { why: "just made: nobody has read it", generation: 1, status: undefined, unsettled: true },
  {
    why: "its controller has made its pods",
    generation: 1,
    status: { observedGeneration: 1 },
    unsettled: false,
  },
  {
    why: "stopped, and its controller still acts on the start",
    generation: 2,
    status: { observedGeneration: 1 },
    unsettled: true,
  },
];

for (const { why, generation, status, unsettled } of GENERATIONS) {
  Deno.test(`workspacesOf: a StatefulSet is settled once its controller has acted on it: ${why}`, () => {
    const given = whole();
    for (const statefulSet of given.statefulSets ?? []) {
      statefulSet.metadata.generation = generation;
      statefulSet.status = status as typeof statefulSet.status; // as the API server writes it
    }
    const said = workspacesOf(snapshot(given), site())[0]?.unsettled ?? null;
    const text = /^StatefulSet .*research-j-virtanen.*: its controller has not acted on it yet$/;
    if (unsettled) assert.match(said ?? "", text);
    else assert.equal(said, null);
  });
}

const OPENINGS: { why: string; label: string | undefined; podUid: string; openedFor: string | null }[] = [
  { why: "the pod that carries its own uid", label: "pod-uid", podUid: "pod-uid", openedFor: "pod-uid" },
  { why: "nobody while that pod lacks the label", label: undefined, podUid: "pod-uid", openedFor: null },
  { why: "a pod that is gone", label: undefined, podUid: "gone", openedFor: "gone" },
];

for (const { why, label, podUid, openedFor } of OPENINGS) {
  Deno.test(`workspacesOf: a network is opened for ${why}`, () => {
    const given = pod();
    if (label !== undefined) Object.assign(given.metadata.labels ?? {}, { "spe.wps/opened": label });
    const policy = asStored(openPolicyManifest(PERMIT, WORKSPACE, rulesOf(WORKSPACE, site()), podUid));
    const [observed] = workspacesOf(
      snapshot({ ...whole(), pods: [given], policies: [GUARD, policy] }),
      site(),
    );
    assert.equal(observed?.network.state === "open" ? observed.network.openedFor : "not open", openedFor);
  });
}

const UNGUARDED: { why: string; label?: string; phase: string; state: string }[] = [
  { why: "a pod that its own opened policy selects", label: "pod-uid", phase: "Running", state: "open" },
  { why: "a pod that somebody took the label off", phase: "Running", state: "breached" },
  {
    why: "a new pod while the policy is open for another",
    label: "other",
    phase: "Pending",
    state: "breached",
  },
  {
    why: "nothing but a pod that has ended: the next one",
    label: "pod-uid",
    phase: "Failed",
    state: "breached",
  },
];

for (const { why, label, phase, state } of UNGUARDED) {
  Deno.test(`workspacesOf: without the default-deny ${state} for ${why}`, () => {
    const given = pod(() => {}, { status: { phase } });
    if (label !== undefined) Object.assign(given.metadata.labels ?? {}, { "spe.wps/opened": label });
    const policy = asStored(openPolicyManifest(PERMIT, WORKSPACE, rulesOf(WORKSPACE, site()), "pod-uid"));
    const [observed] = workspacesOf(snapshot({ ...whole(), pods: [given], policies: [policy] }), site());
    assert.equal(observed?.network.state, state);
  });
}

Deno.test("workspacesOf: leftovers are a workspace without compute", () => {
  const { secrets } = whole() ?? {};
  const [observed] = workspacesOf(snapshot({ secrets }), site());
  assert.deepEqual([observed?.power, observed?.specHash, observed?.compute, observed?.endpoint], [
    null,
    null,
    null,
    null,
  ]);
});

Deno.test("workspacesOf: what is marked for another permit, or bears another's name, is not ours", () => {
  const [set] = whole()?.statefulSets ?? [];
  assert.ok(set !== undefined);
  const theirs = {
    ...set,
    metadata: { ...set.metadata, annotations: { ...set.metadata.annotations, "spe.wps/permit-id": "x" } },
  };
  const copied = {
    ...set,
    metadata: {
      ...set.metadata,
      name: "copy",
      labels: { ...set.metadata.labels, "spe.wps/workspace": "copy" },
    },
  };
  assert.deepEqual(workspacesOf(snapshot({ statefulSets: [theirs, copied] }), site()), []);
});

const OUTDATED: { why: string; site: ReturnType<typeof site>; expected: boolean }[] = [
  { why: "the same settings", site: site(), expected: false },
  {
    why: "another image",
    site: site({ images: { research: { reference: "r:2", readOnlyRoot: true } } }),
    expected: true,
  },
  { why: "another tier", site: site({ tiers: { standard: { cpu: "1", memory: "1Gi" } } }), expected: true },
  { why: "a kind that the site no longer has", site: site({ images: {} }), expected: true },
];

for (const { why, site: given, expected } of OUTDATED) {
  Deno.test(`workspacesOf: ${expected ? "outdated" : "up to date"} with ${why}`, () => {
    assert.equal(workspacesOf(snapshot(whole()), given)[0]?.outdated, expected);
  });
}

Deno.test("workspacesOf: an image that somebody else set is outdated, too", () => {
  const given = whole() ?? {};
  const container = given.statefulSets?.[0]?.spec?.template.spec?.containers[0];
  assert.ok(container !== undefined);
  const changed = structuredClone(given);
  Object.assign(changed.statefulSets?.[0]?.spec?.template.spec?.containers[0] ?? {}, { image: "other:1" });
  assert.equal(workspacesOf(snapshot(changed), site())[0]?.outdated, true);
});

Deno.test("workspacesOf: what is being deleted is named with its finalizers", () => {
  const given = whole() ?? {};
  const [set] = given.statefulSets ?? [];
  assert.ok(set !== undefined);
  const leaving = {
    ...set,
    metadata: { ...set.metadata, deletionTimestamp: DELETED, finalizers: ["foregroundDeletion"] },
  };
  const [observed] = workspacesOf(snapshot({ ...given, statefulSets: [leaving] }), site());
  assert.equal(observed?.terminating, `StatefulSet ${NAME} is Terminating: finalizer foregroundDeletion`);
});

const ADDRESSES: {
  why: string;
  type: "NodePort" | "LoadBalancer";
  given: object;
  status?: object;
  expected: string | null;
  port?: number;
}[] = [
  {
    why: "a NodePort is reached on the pod's node, where its policy sees the holder's own address",
    type: "NodePort",
    given: {},
    expected: "192.0.2.9",
    port: 30022,
  },
  {
    why: "a NodePort under the site's name",
    type: "NodePort",
    given: { connectionHost: "sftp.site" },
    expected: "sftp.site",
    port: 30022,
  },
  { why: "a LoadBalancer without an address yet", type: "LoadBalancer", given: {}, expected: null },
  {
    why: "a LoadBalancer's address",
    type: "LoadBalancer",
    given: {},
    status: { loadBalancer: { ingress: [{ ip: "203.0.113.1" }] } },
    expected: "203.0.113.1",
    port: 2222,
  },
  {
    why: "a LoadBalancer's name",
    type: "LoadBalancer",
    given: {},
    status: { loadBalancer: { ingress: [{ hostname: "lb.site", ip: "203.0.113.1" }] } },
    expected: "lb.site",
    port: 2222,
  },
];

for (const { why, type, given, status, expected, port } of ADDRESSES) {
  Deno.test(`workspacesOf: endpoint: ${why}`, () => {
    const at = site({ settings: settings({ airlockService: type, ...given }) });
    const service = asStored(serviceManifest(PERMIT, airlock(), at));
    const [first] = service.spec?.ports ?? [];
    Object.assign(first ?? {}, { nodePort: 30022 });
    const running = pod();
    const holder = asStored(statefulSetManifest(PERMIT, airlock(), at, null));
    const labels = holder.metadata.labels, annotations = holder.metadata.annotations;
    const own: Pod = {
      ...running,
      metadata: { ...running.metadata, labels, annotations },
      status: { phase: "Running", hostIP: "192.0.2.9" },
    };
    const [observed] = workspacesOf(snapshot({ services: [{ ...service, status }], pods: [own] }), at);
    assert.deepEqual(
      observed?.endpoint,
      expected === null ? null : { protocol: "sftp", host: expected, port },
    );
  });
}

Deno.test("workspacesOf: endpoint: a desktop by address where the gateway has no cluster DNS", () => {
  const at = site({ settings: settings({ desktopHost: "address" }) });
  const service = asStored(serviceManifest(PERMIT, WORKSPACE, at));
  const given = { ...service, spec: { ...service.spec, clusterIP: "10.96.1.2" } };
  const [observed] = workspacesOf(snapshot({ services: [given] }), at);
  assert.deepEqual(observed?.endpoint, { protocol: "rdp", host: "10.96.1.2", port: 3389 });
});
