/** Consolidations and their isolation gates: how one that fails shows, and one that is not what was written. */
import assert from "node:assert/strict";
import { taskName, volumeName } from "../../../src/core/names.ts";
import type { ObservedTask } from "../../../src/core/observed.ts";
import { consolidationManifest } from "../../../src/drivers/kubernetes/manifests/consolidation.ts";
import { DEFAULT_DENY_SPEC, scopeManifests } from "../../../src/drivers/kubernetes/manifests/scope.ts";
import { tasksOf } from "../../../src/drivers/kubernetes/observe/tasks.ts";
import type { Stored } from "../../../src/drivers/kubernetes/wire.ts";
import { consolidation } from "../../conformance/fixtures.ts";
import { asStored, GATE, PERMIT, site, snapshot, TRAITS } from "./fixtures.ts";

const WORK = consolidation("hospital-a");
const JOB = consolidationManifest(PERMIT, WORK, "exit 0", GATE, site());
const NAME = taskName(WORK.fromKey);

type Pod = Stored<"pods">;
type Spec = NonNullable<Pod["spec"]>;
type Change = (spec: Spec, annotations: Record<string, string>) => void;

/** The stored Job, in `conditions`, its template changed by `change`. */
function job(conditions: object[] = [], change: Change = () => {}): Stored<"jobs"> {
  const stored = structuredClone(asStored(JOB));
  const { metadata, spec } = stored.spec?.template ?? assert.fail();
  change(spec ?? assert.fail(), metadata?.annotations ?? assert.fail());
  // The API server's conditions have more fields than are read.
  return { ...stored, status: { conditions } } as Stored<"jobs">;
}

/** The Job's pod number `n`, changed by `change`. */
function pod(n: number, status: object, change: Change = () => {}): Pod {
  const { metadata, spec } = structuredClone(JOB.spec?.template ?? assert.fail());
  change(spec ?? assert.fail(), metadata?.annotations ?? assert.fail());
  const creationTimestamp = `2026-11-22T10:0${n}:00Z`;
  const stored = asStored({ metadata: { ...metadata, name: `${NAME}-${n}`, creationTimestamp }, spec });
  // Kubelet's status has more fields than are read.
  return { ...stored, status } as Pod;
}

const gateIn = (state: object, lastState: object = {}): object => ({
  initContainerStatuses: [{ name: "gate", state, lastState }],
});
const report = JSON.stringify({
  v: 1,
  mode: "gate",
  result: "reached",
  rounds: 30,
  clean: 0,
  begun: 100,
  ended: 161,
  targets: [["tcp 192.0.2.10:443", "reached"]],
});
const LEFT = { phase: "Failed", ...gateIn({ terminated: { exitCode: 1, message: report } }) };
const WAITING = [{ name: "consolidation", state: { waiting: { reason: "PodInitializing" } } }];
const IN_GATE = { phase: "Pending", ...gateIn({ running: {} }), containerStatuses: WAITING };
const PAST = gateIn({ terminated: { exitCode: 0, message: "{}" } });
const says = (exitCode: number, message: string): object => ({
  containerStatuses: [{ name: "consolidation", state: { terminated: { exitCode, message } } }],
});
const TEXT = "gate reached tcp 192.0.2.10:443 after 61 s";
const UNPROVEN = { reason: "isolation-unproven", text: TEXT } as const;
const FAILED = [{ type: "Failed", status: "True", message: "backoff limit" }];

type Seen = Pick<ObservedTask, "state" | "message"> & { trouble: ObservedTask["trouble"] };
const GATES: ({ why: string; jobs?: Stored<"jobs">[]; pods: Pod[] } & Seen)[] = [
  { why: "runs", pods: [pod(1, IN_GATE)], state: "running", message: null, trouble: null },
  {
    why: "reached something; its pod is over, and another comes later",
    pods: [pod(1, LEFT)],
    state: "running",
    message: TEXT,
    trouble: UNPROVEN,
  },
  {
    why: "reached something and is tried again by another pod",
    pods: [pod(1, LEFT), pod(2, IN_GATE)],
    state: "running",
    message: TEXT,
    trouble: UNPROVEN,
  },
  {
    why: "reached something, in front of a pod that nobody schedules",
    pods: [
      pod(1, LEFT),
      pod(2, {
        phase: "Pending",
        conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "no room" }],
      }),
    ],
    state: "running",
    message: null,
    trouble: { reason: "unschedulable", text: "Unschedulable: no room" },
  },
  {
    why: "was killed",
    pods: [pod(1, { phase: "Failed", ...gateIn({ terminated: { exitCode: 137 } }) })],
    state: "running",
    message: "gate ended with code 137 and no report",
    trouble: { reason: "isolation-unproven", text: "gate ended with code 137 and no report" },
  },
  {
    why: "passed at the second pod: what the first found is history",
    pods: [pod(2, { phase: "Running", ...PAST }), pod(1, LEFT)],
    state: "running",
    message: null,
    trouble: null,
  },
  {
    why: "passed, and the consolidation failed behind it",
    jobs: [job(FAILED)],
    pods: [pod(1, LEFT), pod(2, { phase: "Failed", ...PAST, ...says(1, "Cannot read x") })],
    state: "failed",
    message: "Cannot read x",
    trouble: null,
  },
  {
    why: "reached something after a pod that failed behind its gate: that is what matters now",
    pods: [pod(1, { phase: "Failed", ...PAST, ...says(1, "Cannot read x") }), pod(2, LEFT)],
    state: "running",
    message: TEXT,
    trouble: UNPROVEN,
  },
];

for (const { why, jobs = [job()], pods, ...expected } of GATES) {
  for (const [order, given] of [["", pods], [", listed the other way round", pods.toReversed()]] as const) {
    if (order !== "" && pods.length < 2) continue;
    Deno.test(`tasksOf: a gate that ${why}${order}`, () => {
      const [task] = tasksOf(snapshot({ jobs, pods: given }));
      const { state, message, trouble } = task ?? assert.fail("no task");
      assert.deepEqual({ state, message, trouble }, expected);
    });
  }
}

const CLEAN = JSON.stringify({
  v: 1,
  mode: "gate",
  result: "clean",
  rounds: 4,
  clean: 3,
  begun: 1795341604,
  ended: 1795341612,
  targets: [["tcp 192.0.2.10:443", "timed out"]],
});
const PASSED = { phase: "Succeeded", ...gateIn({ terminated: { exitCode: 0, message: CLEAN } }) };

Deno.test("tasksOf: what the gate saw that its newest pod passed, with the control's answer that it relied on", () => {
  const proof = (...pods: Pod[]): ObservedTask["proof"] =>
    tasksOf(snapshot({ jobs: [job()], pods }))[0]?.proof;
  assert.equal(proof(), null);
  assert.equal(
    proof(pod(1, LEFT), pod(2, IN_GATE)),
    null,
    "a gate that failed, or has not ended, shows nothing",
  );
  const found = proof(pod(1, PASSED), pod(3, IN_GATE), pod(2, LEFT));
  assert.deepEqual([found?.method, found?.pod.name, found?.pod.uid], [
    "task",
    `${NAME}-1`,
    pod(1, PASSED).metadata.uid,
  ]);
  assert.deepEqual(found?.targets, [{ target: "tcp 192.0.2.10:443", outcome: "timed out" }]);
  assert.deepEqual([found?.rounds, found?.cleanRounds], [4, 3]);
  assert.deepEqual(found?.control, { before: GATE.control, after: null });
  assert.equal(proof(pod(1, PASSED, withoutGate)), null, "its gate was altered");
});

const NOTE = "spe.wps/gate-hash";
const withoutGate: Change = (spec) => delete spec.initContainers;
const neverGated: Change = (spec, annotations) => {
  delete spec.initContainers;
  delete annotations[NOTE];
};
const DONE = [{ type: "Complete", status: "True" }];
const ENDED = { phase: "Succeeded", ...says(0, "{}") };
const RUNS = { phase: "Running", ...PAST };

/** Who did not pass the gate that was written. */
const ALTERED: { why: string; jobs?: Stored<"jobs">[]; pods: Pod[]; expected: RegExp | null }[] = [
  { why: "nobody", pods: [pod(1, RUNS)], expected: null },
  { why: "a pod without one", pods: [pod(1, RUNS, withoutGate)], expected: /no isolation gate/ },
  {
    why: "a pod with neither gate nor note, which mounts data",
    pods: [pod(1, RUNS, neverGated)],
    expected: /no isolation gate/,
  },
  {
    why: "a Job with neither",
    jobs: [job([], neverGated)],
    pods: [],
    expected: /no isolation gate/,
  },
  {
    why: "a pod that somebody's webhook put a container before",
    pods: [pod(1, IN_GATE, (spec) => spec.initContainers?.unshift({ name: "mesh", image: "mesh" }))],
    expected: /another container runs before the isolation gate/,
  },
  {
    why: "a pod whose gate sees the uploads",
    pods: [
      pod(1, IN_GATE, ({ initContainers: [gate] = [] }) => {
        if (gate !== undefined) gate.volumeMounts = [{ name: "from", mountPath: "/x" }];
      }),
    ],
    expected: /the isolation gate mounts something/,
  },
  {
    why: "a pod whose gate tries nothing",
    pods: [pod(1, RUNS, ({ initContainers: [gate] = [] }) => gate?.env?.splice(0))],
    expected: /another isolation gate/,
  },
  {
    why: "a pod that has copied: its word is not relied on",
    jobs: [job(DONE)],
    pods: [pod(1, ENDED, withoutGate)],
    expected: /no isolation gate/,
  },
  {
    why: "a pod that failed, before one that did",
    jobs: [job(DONE)],
    pods: [pod(1, LEFT, withoutGate), pod(2, ENDED)],
    expected: null,
  },
  {
    why: "a pod of another image, as a site's mirror writes it",
    pods: [pod(1, RUNS, (spec) => spec.initContainers?.forEach((gate) => gate.image = "mirror/tools:1"))],
    expected: null,
  },
];

for (const { why, jobs = [job()], pods, expected } of ALTERED) {
  Deno.test(`tasksOf: what passed no gate counts as failed: ${why}`, () => {
    const name = volumeName(WORK.fromKey);
    const claims = [asStored({
      metadata: {
        name,
        labels: { "app.kubernetes.io/managed-by": "wps" },
        annotations: {
          "spe.wps/permit-id": PERMIT,
          "spe.wps/volume-key": WORK.fromKey,
          "spe.wps/tainted": "true",
        },
      },
    })];
    const [task] = tasksOf(snapshot({ jobs, pods, claims }));
    const { state, message, pods: live, seen } = task ?? assert.fail("no task");
    if (expected === null) return assert.notEqual(state, "failed");
    assert.equal(state, "failed");
    assert.match(message ?? "", /^altered: /);
    assert.match(message ?? "", expected);
    const isLive = pods.some(({ status }) => status?.phase === "Running" || status?.phase === "Pending");
    assert.equal(live.length, isLive ? 1 : 0, "who still runs is named, so that it is waited for");
    assert.equal(seen?.uid, `uid-${NAME}`, "exactly this Job is replaced");
  });
}

Deno.test("tasksOf: each pod that is not gone tells what it mounts and whether it stands behind its gate", () => {
  const claims = [WORK.fromKey, WORK.into.key].map((key) =>
    asStored({
      metadata: {
        name: volumeName(key),
        labels: { "app.kubernetes.io/managed-by": "wps" },
        annotations: { "spe.wps/permit-id": PERMIT, "spe.wps/volume-key": key },
      },
    })
  );
  const pods = [pod(1, LEFT), pod(2, RUNS), pod(3, RUNS, withoutGate)];
  const [task] = tasksOf(snapshot({ jobs: [job()], pods, claims }));
  const seen = task?.pods.map(({ name, gated, mounts }) => ({
    name,
    gated,
    mounts: mounts.map(({ volumeKey, mode }) => `${volumeKey} ${mode}`).sort(),
  }));
  const mounts = [`${WORK.fromKey} ro`, `${WORK.into.key} rw`].sort();
  assert.deepEqual(seen, [
    { name: `${NAME}-3`, gated: false, mounts },
    { name: `${NAME}-2`, gated: true, mounts },
  ]);
  const [strange] = tasksOf(snapshot({ jobs: [job()], pods: [pod(2, RUNS)] }));
  assert.ok(strange?.pods[0]?.mounts.every(({ volumeKey }) => volumeKey.startsWith("claim:")));
});

const GUARDS = scopeManifests({ permitId: PERMIT, fsGroup: 0, members: 1, secretsRole: "r", traits: TRAITS });
/** As the API server returns it: without the empty lists that were sent. */
const DENY = { ...asStored(GUARDS.defaultDeny), spec: DEFAULT_DENY_SPEC };
const ELSEWHERE = { matchLabels: { app: "somebody-else" } };
const policy = (podSelector: object, spec: object): Stored<"networkpolicies"> =>
  // The wire has more fields than are read.
  asStored({ metadata: { name: "theirs" }, spec: { podSelector, ...spec } }) as Stored<"networkpolicies">;
const EGRESS = { policyTypes: ["Egress"], egress: [{}] };

const TASK_NETWORKS: { why: string; policies: Stored<"networkpolicies">[]; by: RegExp | null }[] = [
  { why: "the default-deny alone", policies: [DENY], by: null },
  { why: "no policy at all", policies: [], by: /wps-default-deny \(missing or altered\)/ },
  {
    why: "an altered default-deny",
    policies: [{ ...DENY, spec: { ...DENY.spec, podSelector: {}, egress: [{}] } }],
    by: /wps-default-deny \(altered\)/,
  },
  { why: "a foreign policy for every pod", policies: [DENY, policy({}, EGRESS)], by: /theirs/ },
  {
    why: "a foreign policy for this very Job",
    policies: [DENY, policy({ matchLabels: { "spe.wps/task": NAME } }, EGRESS)],
    by: /theirs/,
  },
  {
    why: "a foreign policy that lets somebody in",
    policies: [DENY, policy({}, { policyTypes: ["Ingress"], ingress: [{}] })],
    by: /theirs/,
  },
  { why: "a foreign policy for others", policies: [DENY, policy(ELSEWHERE, EGRESS)], by: null },
  {
    why: "a foreign policy that only denies",
    policies: [DENY, policy({}, { policyTypes: ["Egress"] })],
    by: null,
  },
];

for (const { why, policies, by } of TASK_NETWORKS) {
  Deno.test(`tasksOf: the network of a consolidation under ${why}`, () => {
    for (const pods of [[], [pod(1, RUNS)]]) {
      const network = tasksOf(snapshot({ jobs: [job()], pods, policies }))[0]?.network;
      if (by === null) assert.deepEqual(network, { state: "shut" });
      else assert.match(network?.state === "breached" ? network.by : "", by);
    }
  });
}
