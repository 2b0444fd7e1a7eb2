import assert from "node:assert/strict";
import { taskName } from "../../../src/core/names.ts";
import { taskMarks } from "../../../src/drivers/kubernetes/manifests/consolidation.ts";
import { DEFAULT_DENY_SPEC, scopeManifests } from "../../../src/drivers/kubernetes/manifests/scope.ts";
import { describeSnapshot } from "../../../src/drivers/kubernetes/observe/observe.ts";
import { foreignOf } from "../../../src/drivers/kubernetes/observe/foreign.ts";
import { holds, isDefaultDenyIntact, scopeOf } from "../../../src/drivers/kubernetes/observe/scope.ts";
import type { Snapshot } from "../../../src/drivers/kubernetes/observe/snapshot.ts";
import { tasksOf } from "../../../src/drivers/kubernetes/observe/tasks.ts";
import type { Stored } from "../../../src/drivers/kubernetes/wire.ts";
import { asStored, NAMESPACE, PERMIT, site, snapshot, TRAITS } from "./fixtures.ts";

const scope = scopeManifests({
  permitId: PERMIT,
  fsGroup: 30100,
  members: 2,
  secretsRole: "wps-permit-secrets",
  traits: TRAITS,
});

/** A complete scope as the API server returns it, changed by `given`. */
function complete(given: Partial<Snapshot> = {}): Snapshot {
  return snapshot({
    namespace: asStored(scope.namespace),
    quotas: [asStored(scope.quota)],
    limits: [asStored(scope.limits)],
    policies: [{ ...asStored(scope.defaultDeny), spec: DEFAULT_DENY_SPEC }],
    accounts: [asStored(scope.account), { metadata: { name: "default", uid: "d", resourceVersion: "1" } }],
    bindings: [asStored(scope.secretsAccess)],
    ...given,
  });
}

const DELETED = { deletionTimestamp: "2026-01-01T00:00:00Z" };
const SEEN = { uid: `uid-${NAMESPACE}`, version: "7" };

function scopeIn(given: Snapshot): ReturnType<typeof scopeOf> {
  return scopeOf(given, site().settings, TRAITS);
}

Deno.test("scopeOf: absent, intact", () => {
  assert.deepEqual(scopeIn(snapshot()), { state: "absent" });
  assert.deepEqual(scopeIn(complete()), { state: "intact", name: NAMESPACE, detail: null, seen: SEEN });
});

const WEAKENED: { why: string; given: Partial<Snapshot>; detail: RegExp }[] = [
  { why: "no quota", given: { quotas: [] }, detail: /^ResourceQuota wps-quota is missing$/ },
  {
    why: "a quota that lets more through",
    given: {
      quotas: [asStored({ ...scope.quota, spec: { hard: { ...scope.quota.spec?.hard, pods: "9999" } } })],
    },
    detail: /ResourceQuota wps-quota is altered/,
  },
  { why: "no limits", given: { limits: [] }, detail: /LimitRange wps-limits is missing/ },
  { why: "no default-deny", given: { policies: [] }, detail: /NetworkPolicy wps-default-deny is missing/ },
  {
    why: "a default-deny with a hole",
    given: { policies: [{ ...asStored(scope.defaultDeny), spec: { ...DEFAULT_DENY_SPEC, egress: [{}] } }] },
    detail: /NetworkPolicy wps-default-deny is altered/,
  },
  {
    why: "an account whose token is mounted",
    given: { accounts: [asStored({ ...scope.account, automountServiceAccountToken: true })] },
    detail: /ServiceAccount workspace is altered/,
  },
  {
    why: "access to Secrets for somebody else",
    given: { bindings: [asStored({ ...scope.secretsAccess, subjects: [{ kind: "User", name: "eve" }] })] },
    detail: /RoleBinding wps-secrets is altered/,
  },
  {
    why: "a second reader of Secrets",
    given: {
      bindings: [
        asStored({
          ...scope.secretsAccess,
          subjects: [...scope.secretsAccess.subjects ?? [], { kind: "User", name: "eve" }],
        }),
      ],
    },
    detail: /RoleBinding wps-secrets is altered/,
  },
  {
    why: "Pod Security turned down",
    given: {
      namespace: asStored({
        metadata: {
          ...scope.namespace.metadata,
          labels: { ...scope.namespace.metadata.labels, "pod-security.kubernetes.io/enforce": "privileged" },
        },
      }),
    },
    detail: /has other labels: pod-security\.kubernetes\.io\/enforce/,
  },
  {
    why: "a guard without our mark",
    given: { limits: [asStored({ ...scope.limits, metadata: { name: "wps-limits" } })] },
    detail: /LimitRange wps-limits is not WPS's/,
  },
  {
    why: "a guard on its way out",
    given: { quotas: [asStored(scope.quota, DELETED)] },
    detail: /wps-quota is being deleted/,
  },
];

for (const { why, given, detail } of WEAKENED) {
  Deno.test(`scopeOf: incomplete with ${why}`, () => {
    const found = scopeIn(complete(given));
    assert.equal(found.state, "incomplete");
    assert.match(found.state === "incomplete" ? found.detail ?? "" : "", detail);
  });
}

Deno.test("scopeOf: another quota beside ours only restricts", () => {
  const hard = { ...scope.quota.spec?.hard, "requests.storage": "1Ti" };
  assert.equal(scopeIn(complete({ quotas: [asStored({ ...scope.quota, spec: { hard } })] })).state, "intact");
});

Deno.test("scopeOf: terminating says what the namespace waits for, and by name", () => {
  const namespace: Stored<"namespaces"> = {
    ...asStored(scope.namespace, DELETED),
    status: {
      conditions: [
        {
          type: "NamespaceContentRemaining",
          status: "True",
          message: "Some resources are remaining: persistentvolumeclaims. has 1 resource instances",
        },
        {
          type: "NamespaceDeletionDiscoveryFailure",
          status: "False",
          message: "All resources successfully discovered",
        },
      ],
    },
  };
  const claims = [asStored({ metadata: { name: "vol-raw" } }, { ...DELETED, finalizers: ["example/stuck"] })];
  const found = scopeIn(complete({ namespace, claims }));
  assert.equal(found.state, "terminating");
  assert.equal(
    found.state === "terminating" ? found.detail : "",
    `Namespace ${NAMESPACE} is Terminating; NamespaceContentRemaining: Some resources are remaining: ` +
      "persistentvolumeclaims. has 1 resource instances; PVC vol-raw: finalizer example/stuck",
  );
});

const NOBODY_ASKS = { asking: null, answer: null };

Deno.test("describeSnapshot: within a namespace of somebody else's nothing is ours, and it is named", () => {
  const namespace = asStored({ metadata: { name: NAMESPACE } });
  const observed = describeSnapshot(complete({ namespace }), site(), TRAITS, NOBODY_ASKS);
  assert.deepEqual(observed, {
    permitId: PERMIT,
    scope: { state: "absent" },
    workspaces: [],
    volumes: [],
    tasks: [],
    foreign: [{ object: `Namespace ${NAMESPACE}`, why: "it has no label app.kubernetes.io/managed-by=wps" }],
    objects: [],
    canaries: NOBODY_ASKS,
    atMs: 0,
  });
});

Deno.test("foreignOf: a namespace of another permit says of which", () => {
  const namespace = asStored({
    metadata: { ...scope.namespace.metadata, annotations: { "spe.wps/permit-id": "Permit-001" } },
  });
  assert.deepEqual(foreignOf(complete({ namespace })).map(({ why }) => why), [
    "it belongs to permit Permit-001, not Permit/001",
  ]);
});

const bare = (name: string): { metadata: { name: string; uid: string; resourceVersion: string } } =>
  asStored({ metadata: { name } });

const FOREIGN: { why: string; given: Partial<Snapshot>; named: string[] }[] = [
  { why: "a complete scope", given: {}, named: [] },
  {
    why: "what Kubernetes makes in each namespace",
    given: { accounts: [bare("default")], secrets: [bare("some-token")] },
    named: [],
  },
  {
    why: "any claim: it is data",
    given: { claims: [bare("scratch")] },
    named: [`PersistentVolumeClaim ${NAMESPACE}/scratch`],
  },
  {
    why: "an object under a name that WPS derives",
    given: { services: [{ ...bare("research-a-0123456789ab") }] },
    named: [`Service ${NAMESPACE}/research-a-0123456789ab`],
  },
  {
    why: "a pod where a workspace's would be",
    given: { pods: [bare("research-a-0123456789ab-0")] },
    named: [`Pod ${NAMESPACE}/research-a-0123456789ab-0`],
  },
  {
    why: "a guard's name",
    given: { quotas: [bare("wps-quota")] },
    named: [`ResourceQuota ${NAMESPACE}/wps-quota`],
  },
  { why: "a pod that uses nothing of the permit's", given: { pods: [bare("debug")] }, named: [] },
];

for (const { why, given, named } of FOREIGN) {
  Deno.test(`foreignOf: ${named.length === 0 ? "nothing" : "named"} with ${why}`, () => {
    assert.deepEqual(foreignOf(complete(given)).map(({ object }) => object), named);
  });
}

Deno.test("foreignOf: a pod of somebody else's that mounts the permit's data is named with what it mounts", () => {
  const name = "vol-raw-d7439bee2477";
  const claim = asStored({
    metadata: {
      name,
      labels: { "app.kubernetes.io/managed-by": "wps" },
      annotations: { "spe.wps/permit-id": PERMIT, "spe.wps/volume-key": "raw" },
    },
  });
  const pod = {
    ...bare("debug"),
    spec: { containers: [], volumes: [{ name: "a", persistentVolumeClaim: { claimName: name } }] },
  };
  assert.deepEqual(foreignOf(complete({ claims: [claim], pods: [pod] })), [
    { object: `Pod ${NAMESPACE}/debug`, why: "it mounts raw" },
  ]);
});

Deno.test("holds: objects may have more than is wanted, lists and values are equal", () => {
  assert.ok(holds({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ c: 2 }] }));
  for (const live of [{ b: [] }, { b: [{ c: 3 }] }, { b: [{ c: 2 }, {}] }, { b: null }, {}]) {
    assert.ok(!holds(live, { b: [{ c: 2 }] }));
  }
});

const KEY = "uploads/hospital-a";
const NAME = taskName(KEY);

function job(conditions: { type: string; status: string; message?: string }[]): Stored<"jobs"> {
  return {
    ...asStored({ metadata: { name: NAME, ...taskMarks(PERMIT, KEY) } }),
    status: { conditions },
  } as Stored<"jobs">;
}

function taskPod(name: string, phase: string, bornAt: string, message?: string): Stored<"pods"> {
  const terminated = message === undefined ? undefined : { exitCode: 0, message };
  return {
    ...asStored({ metadata: { name, ...taskMarks(PERMIT, KEY), creationTimestamp: bornAt } }),
    status: {
      phase,
      containerStatuses: [{
        name: "consolidation",
        ready: false,
        restartCount: 0,
        image: "x",
        imageID: "",
        state: { terminated },
      }],
    },
  };
}

const LIST = "0a".repeat(32);

const TASKS: { why: string; jobs: Stored<"jobs">[]; pods: Stored<"pods">[]; expected: object[] }[] = [
  { why: "none", jobs: [], pods: [], expected: [] },
  {
    why: "one that runs",
    jobs: [job([])],
    pods: [taskPod("a", "Running", "1")],
    expected: [{
      key: KEY,
      name: NAME,
      state: "running",
      message: null,
      pods: ["a"],
      seen: { uid: `uid-${NAME}`, version: "7" },
      terminating: null,
    }],
  },
  {
    why: "one that succeeded; its ended pod holds nothing",
    jobs: [job([{ type: "Complete", status: "True" }])],
    pods: [taskPod("a", "Succeeded", "1", '{"files":2}\n')],
    expected: [{
      key: KEY,
      name: NAME,
      state: "succeeded",
      message: '{"files":2}',
      pods: [],
      seen: { uid: `uid-${NAME}`, version: "7" },
      terminating: null,
    }],
  },
  {
    why: "one that failed: the newest pod's words count",
    jobs: [job([{ type: "Failed", status: "True", message: "Job has reached the specified backoff limit" }])],
    pods: [taskPod("a", "Failed", "1", "old"), taskPod("b", "Failed", "2", "Cannot read x")],
    expected: [{
      key: KEY,
      name: NAME,
      state: "failed",
      message: "Cannot read x",
      pods: [],
      seen: { uid: `uid-${NAME}`, version: "7" },
      terminating: null,
    }],
  },
  {
    why: "one that was refused: its list is read",
    jobs: [job([{ type: "Failed", status: "True", message: "x" }])],
    pods: [
      taskPod("a", "Failed", "1", `{"refused":3,"list":"${LIST}"}\nlink ./a -> /etc\npipe ./b "\\n"\n`),
    ],
    expected: [{
      key: KEY,
      name: NAME,
      state: "failed",
      message: '3 entries are neither files nor folders: link ./a -> /etc; pipe ./b "\\n"; and 1 more',
      refused: { count: 3, shown: ["link ./a -> /etc", 'pipe ./b "\\n"'], listHash: LIST },
      pods: [],
      seen: { uid: `uid-${NAME}`, version: "7" },
      terminating: null,
    }],
  },
  ...["{}", `{"refused":0,"list":"${LIST}"}`, '{"refused":1,"list":"x"}', '{"refused":1'].map((text) => ({
    why: `one whose words only look like a refusal: ${text}`,
    jobs: [job([{ type: "Failed", status: "True", message: "x" }])],
    pods: [taskPod("a", "Failed", "1", text)],
    expected: [{
      key: KEY,
      name: NAME,
      state: "failed",
      message: text,
      pods: [],
      seen: { uid: `uid-${NAME}`, version: "7" },
      terminating: null,
    }],
  })),
  {
    why: "one that failed without a word: the Job's own",
    jobs: [job([{ type: "Failed", status: "True", message: "Job has reached the specified backoff limit" }])],
    pods: [],
    expected: [{
      key: KEY,
      name: NAME,
      state: "failed",
      message: "Job has reached the specified backoff limit",
      pods: [],
      seen: { uid: `uid-${NAME}`, version: "7" },
      terminating: null,
    }],
  },
  {
    why: "a pod that outlived its Job: it may still read the uploads",
    jobs: [],
    pods: [taskPod("a", "Running", "1")],
    expected: [{
      key: KEY,
      name: NAME,
      state: "failed",
      message: "its Job is gone, its pod is not",
      pods: ["a"],
      seen: null,
      terminating: `Job ${NAME} is Terminating: its pods are ending`,
    }],
  },
  { why: "an ended pod that outlived its Job", jobs: [], pods: [taskPod("a", "Failed", "1")], expected: [] },
];

for (const { why, jobs, pods, expected } of TASKS) {
  Deno.test(`tasksOf: ${why}`, () =>
    assert.deepEqual(
      tasksOf(snapshot({ jobs, pods })).map(({ network: _network, pods, ...task }) => ({
        ...task,
        pods: pods.map(({ name }) => name),
      })),
      expected.map((task) => ({ ...task, trouble: null, proof: null })),
    ));
}

Deno.test("tasksOf: one whose pod gets no image says so while it runs", () => {
  const pending = taskPod("a", "Pending", "1");
  const state = { waiting: { reason: "ErrImagePull", message: "no such host" } };
  const containerStatuses = [{ name: "c", ready: false, restartCount: 0, image: "x", imageID: "", state }];
  const pods = [{ ...pending, status: { ...pending.status, containerStatuses } }];
  const [task] = tasksOf(snapshot({ jobs: [job([])], pods }));
  assert.deepEqual(task?.trouble, { reason: "image-unavailable", text: "ErrImagePull: no such host" });
});

Deno.test("isDefaultDenyIntact: exactly as written, WPS's own for this permit, and not on its way out", () => {
  const stored = { ...asStored(scope.defaultDeny), spec: DEFAULT_DENY_SPEC };
  const policies = (given: object, more: object = {}) => ({
    permitId: PERMIT,
    policies: [{ ...stored, ...more, metadata: { ...stored.metadata, ...given } }],
  });
  assert.equal(isDefaultDenyIntact(policies({})), true);
  assert.equal(isDefaultDenyIntact({ permitId: PERMIT, policies: [] }), false);
  assert.equal(isDefaultDenyIntact(policies({ labels: {} })), false, "somebody else may take it away");
  assert.equal(isDefaultDenyIntact(policies({ annotations: { "spe.wps/permit-id": "other" } })), false);
  assert.equal(isDefaultDenyIntact(policies(DELETED)), false);
  assert.equal(
    isDefaultDenyIntact(policies({}, { spec: { podSelector: {}, policyTypes: ["Ingress"] } })),
    false,
  );
});
