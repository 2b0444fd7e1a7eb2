/** The isolation gate: what is rendered, what is read back of it, what its report proves. */
import assert from "node:assert/strict";
import { parseVolumeKey } from "../../../src/core/volume.ts";
import { specHash } from "../../../src/core/workspace.ts";
import { evidenceOf, parseControl, provenTargets, tooFew } from "../../../src/drivers/kubernetes/evidence.ts";
import { reading } from "../../../src/drivers/kubernetes/control.ts";
import { claimManifest } from "../../../src/drivers/kubernetes/manifests/claim.ts";
import { controlManifest } from "../../../src/drivers/kubernetes/manifests/canaries.ts";
import type { Gate } from "../../../src/drivers/kubernetes/manifests/gate.ts";
import { probeManifest } from "../../../src/drivers/kubernetes/manifests/probe.ts";
import { templateHash, templateOf } from "../../../src/drivers/kubernetes/manifests/template.ts";
import { serviceManifest, statefulSetManifest } from "../../../src/drivers/kubernetes/manifests/workspace.ts";
import { gateOf, passedReport } from "../../../src/drivers/kubernetes/observe/gate.ts";
import { selects } from "../../../src/drivers/kubernetes/observe/network.ts";
import { readPodSpec } from "../../../src/drivers/kubernetes/observe/pod_spec.ts";
import { workspacesOf } from "../../../src/drivers/kubernetes/observe/workspaces.ts";
import type { GateReport } from "../../../src/drivers/kubernetes/report.ts";
import type { Stored } from "../../../src/drivers/kubernetes/wire.ts";
import { asStored, GATE, NAMESPACE, PERMIT, research, site, snapshot } from "./fixtures.ts";

type Pod = Stored<"pods">;
type Spec = NonNullable<Pod["spec"]>;

const CLAIM = "vol-prepared-b0f4b2e7996a";
const TAINTED: ReadonlySet<string> = new Set([CLAIM]);
const CONTROL = GATE.control;
const WORKSPACE = research({
  sensitive: true,
  mounts: [{
    volume: parseVolumeKey("prepared"),
    volumeKey: "prepared",
    path: "/data/prepared",
    mode: "ro",
  }],
});

/** The pod of a gated workspace, changed by `change`. */
function podWith(change: (spec: Spec, annotations: Record<string, string>) => void = () => {}): Pod {
  const { metadata, spec } = structuredClone(
    statefulSetManifest(PERMIT, WORKSPACE, site(), GATE).spec?.template ?? assert.fail(),
  );
  const annotations = { ...metadata?.annotations };
  change(spec ?? assert.fail(), annotations);
  const name = `${statefulSetManifest(PERMIT, WORKSPACE, site(), GATE).metadata.name}-0`;
  return {
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: "pod-uid",
      resourceVersion: "9",
      labels: metadata?.labels,
      annotations,
    },
    spec: { ...spec ?? assert.fail(), nodeName: "node-1" },
  };
}

Deno.test("statefulSetManifest: the gate is the first init container, mounts nothing, and knows addresses only", () => {
  const { spec, metadata } = podWith();
  const [gate, ...others] = spec?.initContainers ?? [];
  assert.deepEqual(others, []);
  const { env, command, ...rest } = gate ?? assert.fail("no gate");
  assert.deepEqual(command, ["/bin/sh", "-c", "echo gate", "gate"]);
  assert.deepEqual(
    Object.fromEntries((env ?? []).map(({ name, value, valueFrom }) => [name, value ?? valueFrom])),
    {
      MODE: "gate",
      CANARIES: "tcp 192.0.2.10 443\ndns 10.96.0.10 53",
      QUESTION: "kubernetes.default.svc.cluster.local",
      CLEAN_ROUNDS: "3",
      DEADLINE_SECONDS: "60",
      CONNECT_SECONDS: "1",
      REPORT: "/dev/termination-log",
      NODE: { fieldRef: { apiVersion: "v1", fieldPath: "status.hostIP" } },
    },
  );
  assert.deepEqual(rest, {
    name: "gate",
    image: "registry.site/tools:1",
    imagePullPolicy: "IfNotPresent",
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { cpu: "500m", memory: "64Mi" } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  });
  assert.deepEqual(parseControl(metadata.annotations?.["spe.wps/canaries"] ?? null), CONTROL);
});

Deno.test("statefulSetManifest: other canaries change no hash by which a pod would be replaced or outdated", () => {
  const other: Gate = { ...GATE, lines: ["tcp 192.0.2.99 1"], control: { ...CONTROL, alive: [] } };
  const [one, two] = [GATE, other].map((gate) => statefulSetManifest(PERMIT, WORKSPACE, site(), gate));
  const hashOf = (manifest: typeof one): string => {
    const template = manifest?.spec?.template;
    return readPodSpec(template?.metadata?.annotations ?? {}, template?.spec, TAINTED).specHash;
  };
  assert.equal(hashOf(one), specHash(WORKSPACE));
  assert.equal(hashOf(two), specHash(WORKSPACE));
  assert.deepEqual(one?.metadata, two?.metadata);
  assert.equal(
    templateHash(templateOf(site(), WORKSPACE)),
    templateHash(templateOf(site({ canaries: [] }), WORKSPACE)),
  );
});

/** What must not pass for the pod that was started. */
const ALTERED: {
  why: string;
  change: (spec: Spec, annotations: Record<string, string>) => void;
  expected: RegExp;
}[] = [
  { why: "no gate", change: (spec) => delete spec.initContainers, expected: /no isolation gate/ },
  {
    why: "neither gate nor the note of one",
    change: (spec, annotations) => {
      delete spec.initContainers;
      delete annotations["spe.wps/gate-hash"];
    },
    expected: /no isolation gate/,
  },
  {
    why: "a gate that does something else",
    change: (spec) => spec.initContainers?.forEach((gate) => gate.command = ["true"]),
    expected: /another isolation gate/,
  },
  {
    why: "a gate that tries something else",
    change: (spec) => spec.initContainers?.[0]?.env?.forEach((pair) => pair.value = ""),
    expected: /another isolation gate/,
  },
  {
    why: "a gate that nobody waits for",
    change: (spec) => spec.initContainers?.forEach((gate) => gate.restartPolicy = "Always"),
    expected: /another isolation gate/,
  },
  {
    why: "a gate that sees data",
    change: (spec) =>
      spec.initContainers?.forEach((gate) => gate.volumeMounts = [{ name: CLAIM, mountPath: "/data" }]),
    expected: /mounts something/,
  },
  {
    why: "something that runs before it",
    change: (spec) => spec.initContainers?.unshift({ name: "first" }),
    expected: /before the isolation gate/,
  },
];

for (const { why, change, expected } of ALTERED) {
  Deno.test(`readPodSpec: a pod near sensitive data is altered with ${why}`, () => {
    const { metadata, spec } = podWith(change);
    assert.match(readPodSpec(metadata.annotations ?? {}, spec, TAINTED).specHash, expected);
  });
}

Deno.test("readPodSpec: what the API server adds to a gate changes nothing, nor does a mirror's image", () => {
  const { metadata, spec } = podWith((spec) =>
    spec.initContainers?.forEach((gate) =>
      Object.assign(gate, { image: "mirror/tools:1", args: [], stdin: false })
    )
  );
  assert.equal(readPodSpec(metadata.annotations ?? {}, spec, TAINTED).specHash, specHash(WORKSPACE));
});

Deno.test("workspacesOf: whose claim is tainted, by itself or by what backs it, has a gate or is altered", () => {
  const wanted = specHash(WORKSPACE);
  const pod = podWith((spec, annotations) => {
    delete spec.initContainers;
    delete annotations["spe.wps/gate-hash"];
  });
  const claimed = (sensitive: boolean): Parameters<typeof snapshot>[0] => {
    const volume = {
      id: parseVolumeKey("prepared"),
      key: "prepared",
      access: "ReadWriteMany",
      size: "1Gi",
      sensitive,
    } as const;
    return { pods: [pod], claims: [asStored(claimManifest(PERMIT, volume, site()))] };
  };
  const hashOf = (given: Parameters<typeof snapshot>[0]): string | undefined =>
    workspacesOf(snapshot(given), site())[0]?.instances[0]?.specHash;
  assert.equal(hashOf(claimed(false)), wanted, "not near data: no gate is needed");
  assert.match(hashOf(claimed(true)) ?? "", /no isolation gate/);
});

/** How gates fare, in kubelet's words. */
const CLEAN: GateReport = {
  v: 1,
  mode: "gate",
  result: "clean",
  rounds: 5,
  clean: 3,
  begun: 1_795_341_600,
  ended: 1_795_341_606,
  targets: [["tcp 192.0.2.10:443", "timed out"], ["tcp 192.0.2.20:8200", "refused"], [
    "dns 10.96.0.10:53",
    "timed out",
  ]],
};
const REACHED: GateReport = {
  ...CLEAN,
  result: "reached",
  ended: CLEAN.begun + 60,
  targets: [["tcp 192.0.2.10:443", "reached"], ["tcp 192.0.2.20:8200", "refused"]],
};
const ended = (exitCode: number, report: GateReport | string): object => ({
  terminated: { exitCode, message: typeof report === "string" ? report : JSON.stringify(report) },
});
const FATES: {
  why: string;
  status: object | null;
  text: string | null;
  isTrouble?: boolean;
  passed?: boolean;
}[] = [
  { why: "has not begun", status: null, text: null },
  { why: "runs", status: { state: { running: {} } }, text: "gate: round in progress" },
  { why: "has passed", status: { state: ended(0, CLEAN) }, text: null, passed: true },
  { why: "ended well and says nothing", status: { state: ended(0, "") }, text: null },
  { why: "ended well and tells of a way out", status: { state: ended(0, REACHED) }, text: null },
  {
    why: "has found a way out",
    status: { state: ended(1, REACHED) },
    text: "gate reached tcp 192.0.2.10:443 after 60 s",
    isTrouble: true,
  },
  {
    why: "waits to begin again",
    status: { state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: ended(1, REACHED) },
    text: "gate reached tcp 192.0.2.10:443 after 60 s",
    isTrouble: true,
  },
  {
    why: "runs once more after a failure",
    status: { state: { running: {} }, lastState: ended(1, REACHED) },
    text: "gate reached tcp 192.0.2.10:443 after 60 s",
    isTrouble: true,
  },
  {
    why: "passed after a failure",
    status: { state: ended(0, CLEAN), lastState: ended(1, REACHED) },
    text: null,
    passed: true,
  },
  {
    why: "has a broken tool",
    status: { state: ended(2, { ...CLEAN, result: "broken", why: "no nc" }) },
    text: "gate could not prove anything: no nc",
    isTrouble: true,
  },
  {
    why: "was killed",
    status: { state: ended(137, "") },
    text: "gate ended with code 137 and no report",
    isTrouble: true,
  },
];

for (const { why, status, text, isTrouble = false, passed = false } of FATES) {
  Deno.test(`gateOf: a gate that ${why}`, () => {
    const pod: Pod = {
      ...podWith(),
      status: {
        phase: "Pending",
        // Kubelet's status has more fields than are read.
        ...(status === null ? {} : { initContainerStatuses: [{ name: "gate", ...status }] as never }),
      },
    };
    assert.deepEqual(gateOf(pod), { text, trouble: isTrouble ? "isolation-unproven" : null });
    assert.equal(passedReport(pod) !== null, passed);
  });
}

Deno.test("provenTargets: what was alive before and after, and was not reached; two of them prove something", () => {
  const after = { ...CONTROL, alive: ["tcp 192.0.2.10:443", "tcp 192.0.2.20:8200", "dns 10.96.0.10:53"] };
  const proven = provenTargets(CLEAN, CONTROL, after);
  assert.deepEqual(proven, ["tcp 192.0.2.10:443", "tcp 192.0.2.20:8200"]);
  assert.equal(tooFew(proven), null);
  const died = provenTargets(CLEAN, CONTROL, { ...after, alive: ["tcp 192.0.2.10:443"] });
  assert.match(tooFew(died) ?? "", /^1 canaries \(tcp 192\.0\.2\.10:443\) were alive before and after it/);
  assert.match(tooFew(provenTargets(REACHED, CONTROL, after)) ?? "", /at least 2 must be/);
});

Deno.test("evidenceOf: at most 4096 bytes whatever was tried, what was reached first, counts kept", () => {
  const long = Array.from(
    { length: 80 },
    (_, index) => `tcp [2001:db8:ffff:ffff:ffff:ffff:ffff:${index}]:65535`,
  );
  const control = { ...CONTROL, alive: long, silent: long };
  const report: GateReport = {
    ...REACHED,
    targets: long.map((
      target,
      index,
    ) => [target, index === 79 ? "reached" : "failed: a long story of many words"]),
  };
  const instance = { name: "p".repeat(63), uid: crypto.randomUUID() };
  const parts: Omit<Parameters<typeof evidenceOf>[0], "report"> = {
    method: "gate",
    pod: podWith(),
    instance,
    before: control,
    after: control,
    policies: [],
  };
  const cut = evidenceOf({ ...parts, report });
  assert.ok(new TextEncoder().encode(JSON.stringify(cut)).length <= 4096);
  assert.equal(cut.targets[0]?.outcome, "reached");
  assert.match(cut.targets.at(-1)?.target ?? "", /^\d+ more$/);
  const listed = cut.control.after?.alive ?? [];
  assert.equal(listed.length - 1 + Number.parseInt(listed.at(-1) ?? "", 10), 80);
  const whole = evidenceOf({ ...parts, report: CLEAN, before: CONTROL, after: CONTROL });
  assert.deepEqual(whole.targets.map(({ target }) => target), CLEAN.targets.map(([target]) => target));
  assert.deepEqual([whole.begunAt, whole.endedAt], ["2026-11-22T10:00:00.000Z", "2026-11-22T10:00:06.000Z"]);
});

Deno.test("reading: a name counts by its address, a loopback name server is no way out", () => {
  const { evidence, next } = reading(["name gw.site 443", "tcp 10.0.0.1 443"], {
    v: 1,
    mode: "control",
    result: "done",
    begun: 1,
    ended: 2,
    targets: [["name gw.site:443", "reached", "2001:db8::1"], ["name no.site:1", "failed: name unknown"], [
      "tcp 10.0.0.1:443",
      "refused",
    ]],
    nameservers: ["127.0.0.53", "10.96.0.10"],
  });
  assert.deepEqual(evidence, {
    alive: ["tcp [2001:db8::1]:443"],
    silent: ["name no.site:1", "tcp 10.0.0.1:443"],
  });
  assert.deepEqual(next, {
    lines: ["tcp 10.0.0.1 443", "tcp 2001:db8::1 443", "dns 10.96.0.10 53"],
    nameservers: ["10.96.0.10"],
  });
});

Deno.test("probeManifest: judged by the policies of its neighbour, taken by neither Service nor StatefulSet", () => {
  const beside = podWith();
  beside.metadata.labels = {
    ...beside.metadata.labels,
    "controller-revision-hash": "x",
    "statefulset.kubernetes.io/pod-name": "x",
    "apps.kubernetes.io/pod-index": "0",
  };
  const parts = { permitId: PERMIT, workspaceKey: WORKSPACE.key, beside, name: "probe-1" };
  const { metadata, spec } = probeManifest(
    { ...parts, script: "echo", lines: ["tcp 192.0.2.10 443"] },
    site(),
  );
  const labels = metadata.labels ?? {};
  const set = statefulSetManifest(PERMIT, WORKSPACE, site(), GATE),
    service = serviceManifest(PERMIT, WORKSPACE, site());
  assert.ok(selects(set.spec?.selector, beside.metadata.labels), "the workspace's own pod is selected");
  assert.ok(
    !selects(set.spec?.selector, labels) && !selects({ matchLabels: service.spec?.selector }, labels),
  );
  const opened = { "spe.wps/workspace": labels["spe.wps/workspace"] ?? "", "spe.wps/opened": "pod-uid" };
  assert.ok(selects({ matchLabels: opened }, labels), "policies select it");
  assert.deepEqual(Object.keys(labels).filter((key) => /revision|statefulset|pod-index/.test(key)), []);
  assert.deepEqual(metadata.annotations, { "spe.wps/permit-id": PERMIT }, "it is no instance of a workspace");
  assert.deepEqual([spec?.nodeName, spec?.volumes, spec?.restartPolicy], ["node-1", undefined, "Never"]);
  assert.deepEqual(spec?.containers[0]?.volumeMounts, undefined);
  const stored = asStored({ metadata, spec });
  assert.deepEqual(workspacesOf(snapshot({ pods: [stored] }), site()), []);
});

Deno.test("controlManifest: no permit's, no policy's, and gone by itself", () => {
  const { metadata, spec } = controlManifest(
    "control-1",
    { askedAtMs: 0, lines: ["name gw.site 443"], after: [] },
    "echo",
    site(),
  );
  assert.equal(metadata.namespace, "wps-canaries");
  assert.deepEqual(Object.keys(metadata.annotations ?? {}), ["spe.wps/asking"], "of no permit");
  assert.deepEqual(Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith("spe.wps/")), []);
  assert.ok((spec?.activeDeadlineSeconds ?? 0) > 0);
  assert.equal(spec?.dnsPolicy, undefined, "it resolves names as the cluster's pods do");
});
