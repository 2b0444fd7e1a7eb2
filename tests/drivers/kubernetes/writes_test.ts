/** What each write refuses, creates and leaves alone, also when somebody else is faster (invariants 4, 8 and 9). */
import assert from "node:assert/strict";
import { Fault, type Reason } from "../../../src/core/fault.ts";
import { permitName, volumeName, workspaceName } from "../../../src/core/names.ts";
import type { ObservedVolume, Seen } from "../../../src/core/observed.ts";
import { cutNetwork, openNetwork } from "../../../src/drivers/kubernetes/actions/network.ts";
import { destroyVolume, ensureVolume, retainVolume } from "../../../src/drivers/kubernetes/actions/volume.ts";
import {
  ensureIdentity,
  removeWorkspace,
  startWorkspace,
  stopWorkspace,
} from "../../../src/drivers/kubernetes/actions/workspace.ts";
import { claimManifest, volumeMarks } from "../../../src/drivers/kubernetes/manifests/claim.ts";
import {
  openPolicyManifest,
  rulesOf,
  shutPolicyManifest,
} from "../../../src/drivers/kubernetes/manifests/policy.ts";
import { serviceManifest, statefulSetManifest } from "../../../src/drivers/kubernetes/manifests/workspace.ts";
import { LABEL, marks } from "../../../src/drivers/kubernetes/marks.ts";
import { pathOf } from "../../../src/drivers/kubernetes/wire.ts";
import { createOnly } from "../../../src/drivers/kubernetes/write.ts";
import { boundVolume, neverSeen, volume } from "../../conformance/fixtures.ts";
import { GATE, NAMESPACE, PERMIT, research, site } from "./fixtures.ts";
import { MemoryApi } from "./memory_api.ts";

const SITE = site();
const WANTED = research({ posture: "proxied" });
const NAME = workspaceName(WANTED.key);
const POD = `${NAME}-0`;
const RULES = rulesOf(WANTED, SITE);
const SHUT = shutPolicyManifest(PERMIT, WANTED, "absent");

async function refused(doing: Promise<unknown>, reason: Reason): Promise<void> {
  await assert.rejects(doing, (thrown) => {
    assert.ok(thrown instanceof Fault, `${thrown}`);
    assert.equal(thrown.reason, reason, thrown.message);
    return true;
  });
}

/** A permit's namespace with one pod of the workspace. */
function cluster(): { api: MemoryApi; pod: NonNullable<Seen> } {
  const api = new MemoryApi();
  api.put("namespaces", { metadata: { name: NAMESPACE, ...marks(PERMIT, "scope") } });
  return { api, pod: putPod(api) };
}

function putPod(api: MemoryApi): NonNullable<Seen> {
  api.objects.delete(pathOf("pods", { namespace: NAMESPACE, name: POD }));
  const labels = { [LABEL.workspace]: NAME };
  return api.put("pods", {
    metadata: { name: POD, namespace: NAMESPACE, ...marks(PERMIT, "workspace", labels) },
  });
}

const seenWith = (seen: Seen) => ({ ...neverSeen(WANTED.key), network: { state: "shut" as const, seen } });
const cut = (api: MemoryApi, seen: Seen) =>
  cutNetwork(api.writing, { kind: "cut-network", workspace: seenWith(seen) });
const open = (api: MemoryApi, pod: NonNullable<Seen>, seen: Seen) =>
  openNetwork(api.writing, { kind: "open-network", workspace: WANTED, instanceUid: pod.uid, seen }, SITE);
const egress = (api: MemoryApi) => {
  const spec = api.find("networkpolicies", NAME, NAMESPACE)?.["spec"];
  return spec === undefined ? undefined : Reflect.get(spec as object, "egress");
};

Deno.test("createOnly: what exists stays as it is, ours or not", async () => {
  const { api } = cluster();
  await using _ = api;
  const service = serviceManifest(PERMIT, WANTED, SITE);
  await createOnly(api.writing, "services", service);
  const first = structuredClone(api.find("services", NAME, NAMESPACE));
  const other = { ...service, spec: { ...service.spec, ports: [] } };
  await refused(createOnly(api.writing, "services", other), "conflict");
  assert.deepEqual(api.find("services", NAME, NAMESPACE), first);
  api.objects.clear();
  const theirs = { metadata: { name: NAME, namespace: NAMESPACE } };
  api.put("services", theirs);
  await refused(createOnly(api.writing, "services", service), "foreign-object");
  assert.equal(api.find("services", NAME, NAMESPACE)?.metadata.labels, undefined);
});

Deno.test("openNetwork: the label first, then the policy over exactly what was seen", async () => {
  const { api, pod } = cluster();
  await using _ = api;
  const seen = api.put("networkpolicies", SHUT);
  await open(api, pod, seen);
  assert.deepEqual(api.asked.map((line) => line.replace(/.*\/(\w+)\/[^/]+$/, "$1")), [
    "pods",
    "networkpolicies",
  ]);
  assert.ok(egress(api) !== undefined);
  assert.equal(api.find("pods", POD, NAMESPACE)?.metadata.labels?.[LABEL.opened], pod.uid);
});

Deno.test("openNetwork: refused once a cut went before, whatever stood there when it was seen", async () => {
  for (const stood of ["nothing", "a shut policy", "an open policy"]) {
    const { api, pod } = cluster();
    await using _ = api;
    const seen = stood === "nothing" ? null : api.put(
      "networkpolicies",
      stood === "a shut policy" ? SHUT : openPolicyManifest(PERMIT, WANTED, RULES, pod.uid),
    );
    await cut(api, seen);
    assert.equal(egress(api), undefined, stood);
    await refused(open(api, pod, seen), "conflict");
    assert.equal(egress(api), undefined, `${stood}: opened by a late writer`);
  }
});

Deno.test("openNetwork: a pod that took the place of the proven one gets no label", async () => {
  const { api, pod } = cluster();
  await using _ = api;
  const seen = api.put("networkpolicies", SHUT);
  api.before = (method) => {
    if (method === "PATCH") api.before = () => {};
    if (method === "PATCH") putPod(api);
  };
  await refused(open(api, pod, seen), "conflict");
  assert.equal(api.find("pods", POD, NAMESPACE)?.metadata.labels?.[LABEL.opened], undefined);
  assert.equal(egress(api), undefined);
});

Deno.test("openNetwork: a policy that was stored otherwise than it was written is named", async () => {
  const { api, pod } = cluster();
  await using _ = api;
  const seen = api.put("networkpolicies", SHUT);
  api.webhook = (object) => {
    const spec = object["spec"] as { egress?: unknown } | undefined;
    if (spec?.egress !== undefined) spec.egress = [{}];
  };
  await refused(open(api, pod, seen), "policy-refused");
});

Deno.test("cutNetwork: a policy of that name that is somebody else's stays, also where ours was seen", async () => {
  for (const seen of [null, { uid: "uid-of-ours", version: "1" }]) {
    const { api } = cluster();
    await using _ = api;
    const theirs = {
      metadata: { name: NAME, namespace: NAMESPACE },
      spec: { podSelector: {}, egress: [{}] },
    };
    api.put("networkpolicies", theirs);
    assert.match((await cut(api, seen)).detail, /is somebody else's/);
    assert.deepEqual(egress(api), [{}]);
  }
});

Deno.test("cutNetwork: one that is put there by somebody else between two requests stays", async () => {
  const { api } = cluster();
  await using _ = api;
  const seen = api.put("networkpolicies", SHUT);
  const path = pathOf("networkpolicies", { namespace: NAMESPACE, name: NAME });
  api.before = (method) => {
    if (method !== "PATCH") return;
    api.before = () => {};
    api.objects.delete(path);
    api.put("networkpolicies", {
      metadata: { name: NAME, namespace: NAMESPACE },
      spec: { podSelector: {}, egress: [{}] },
    });
  };
  assert.match((await cut(api, seen)).detail, /is somebody else's/);
  assert.deepEqual(egress(api), [{}]);
});

const start = (api: MemoryApi, seen: Seen, sensitive = false) =>
  startWorkspace(api.writing, { kind: "start", workspace: { ...WANTED, sensitive }, seen }, SITE, null);

Deno.test("startWorkspace: refused once a stop went before, also of what was off already", async () => {
  const { api } = cluster();
  await using _ = api;
  const manifest = statefulSetManifest(PERMIT, WANTED, SITE, null);
  const off = { ...manifest, spec: { ...manifest.spec, replicas: 0 } };
  for (const object of [manifest, { ...off, spec: off.spec } as typeof manifest]) {
    api.objects.delete(pathOf("statefulsets", { namespace: NAMESPACE, name: NAME }));
    const compute = api.put("statefulsets", object);
    const workspace = { ...neverSeen(WANTED.key), compute };
    await stopWorkspace(api.writing, { kind: "stop", workspace });
    await refused(start(api, compute), "conflict");
    const spec = api.find("statefulsets", NAME, NAMESPACE)?.["spec"] as { replicas: number };
    assert.equal(spec.replicas, 0);
  }
});

Deno.test("startWorkspace: nothing near data without a gate", async () => {
  const { api } = cluster();
  await using _ = api;
  await refused(start(api, null, true), "canaries-silent");
  assert.deepEqual(api.asked, []);
  const wanted = { ...WANTED, posture: "isolated" as const, sensitive: true };
  await startWorkspace(api.writing, { kind: "start", workspace: wanted, seen: null }, SITE, GATE);
  assert.ok(api.find("statefulsets", NAME, NAMESPACE) !== undefined);
});

Deno.test("removeWorkspace: compute that changed stays, and its policy with it", async () => {
  const { api } = cluster();
  await using _ = api;
  api.objects.delete(pathOf("pods", { namespace: NAMESPACE, name: POD }));
  api.put("networkpolicies", SHUT);
  const manifest = statefulSetManifest(PERMIT, WANTED, SITE, null);
  const { uid } = api.put("statefulsets", manifest);
  const workspace = { ...neverSeen(WANTED.key), compute: { uid, version: "1" } };
  await refused(removeWorkspace(api.writing, { kind: "remove-workspace", workspace }), "conflict");
  assert.ok(api.find("statefulsets", NAME, NAMESPACE) !== undefined);
  assert.ok(api.find("networkpolicies", NAME, NAMESPACE) !== undefined);
});

Deno.test("removeWorkspace: what is somebody else's stays, also when it comes between two requests", async () => {
  for (const between of [false, true]) {
    const { api } = cluster();
    await using _ = api;
    api.objects.delete(pathOf("pods", { namespace: NAMESPACE, name: POD }));
    const path = pathOf("services", { namespace: NAMESPACE, name: NAME });
    const theirs = (): void => {
      api.objects.delete(path);
      api.put("services", { metadata: { name: NAME, namespace: NAMESPACE } });
    };
    if (between) {
      api.put("services", serviceManifest(PERMIT, WANTED, SITE));
      api.before = (method, asked) => {
        if (method === "DELETE" && asked === path) theirs();
      };
    } else theirs();
    const doing = removeWorkspace(api.writing, {
      kind: "remove-workspace",
      workspace: neverSeen(WANTED.key),
    });
    if (between) await refused(doing, "conflict");
    else await doing;
    assert.ok(api.find("services", NAME, NAMESPACE) !== undefined);
  }
});

Deno.test("ensureIdentity: a Secret that changed since it was seen is not written over", async () => {
  const { api } = cluster();
  await using _ = api;
  const context = {
    permitId: PERMIT,
    signal: api.writing.signal,
    password: () => Promise.resolve("word"),
    hostKey: () => Promise.reject(new Error("no sftp")),
  };
  const ensure = (seen: Seen) =>
    ensureIdentity(
      api.writing,
      { kind: "ensure-identity", workspace: WANTED, rotate: true, seen },
      context,
      SITE,
    );
  await ensure(null);
  const first = structuredClone(api.find("secrets", NAME, NAMESPACE)) ?? assert.fail("no Secret");
  // The Service is written beside it: by one request, so that none is left to be sent.
  api.objects.delete(pathOf("services", { namespace: NAMESPACE, name: NAME }));
  await refused(ensure({ uid: first.metadata.uid, version: "1" }), "conflict");
  assert.deepEqual(api.find("secrets", NAME, NAMESPACE), first);
});

const PROJECT = volume("project");
const CLAIM = volumeName(PROJECT.key);
const observed = (seen: Seen): ObservedVolume => boundVolume(PROJECT.key, { name: CLAIM, seen });

/** A bound claim, and the volume behind it as a storage driver leaves it. */
function bound(api: MemoryApi): { claim: NonNullable<Seen>; backing: () => { [field: string]: unknown } } {
  const manifest = claimManifest(PERMIT, PROJECT, SITE);
  const claim = api.put("persistentvolumeclaims", {
    ...manifest,
    spec: { ...manifest.spec, volumeName: "pv-1" },
  });
  api.put("persistentvolumes", {
    metadata: { name: "pv-1" },
    spec: {
      persistentVolumeReclaimPolicy: "Delete",
      claimRef: { uid: claim.uid, namespace: permitName(PERMIT), name: CLAIM },
    },
  });
  return {
    claim,
    backing: () => (api.find("persistentvolumes", "pv-1")?.["spec"] ?? {}) as { [field: string]: unknown },
  };
}

Deno.test("retainVolume, destroyVolume: retained until its deletion, which lets the volume go before the claim", async () => {
  const { api } = cluster();
  await using _ = api;
  const { claim, backing } = bound(api);
  await retainVolume(api.writing, { kind: "retain-volume", volume: observed(claim) });
  assert.equal(backing()["persistentVolumeReclaimPolicy"], "Retain");
  api.asked.length = 0;
  await destroyVolume(api.writing, { kind: "destroy-volume", volume: observed(claim) });
  assert.equal(backing()["persistentVolumeReclaimPolicy"], "Delete");
  assert.deepEqual(api.asked, [
    `PATCH ${pathOf("persistentvolumes", { name: "pv-1" })}`,
    `DELETE ${pathOf("persistentvolumeclaims", { namespace: NAMESPACE, name: CLAIM })}`,
  ]);
});

Deno.test("destroyVolume: neither a claim nor a volume that changed meanwhile", async () => {
  for (const changed of ["persistentvolumes", "persistentvolumeclaims"] as const) {
    const { api } = cluster();
    await using _ = api;
    const { claim } = bound(api);
    api.before = (method) => {
      if (method === "GET") return;
      api.before = () => {};
      const place = changed === "persistentvolumes"
        ? { name: "pv-1" }
        : { namespace: NAMESPACE, name: CLAIM };
      const object = api.objects.get(pathOf(changed, place)) ?? assert.fail(changed);
      object.metadata.resourceVersion = "somebody else's";
    };
    await refused(
      destroyVolume(api.writing, { kind: "destroy-volume", volume: observed(claim) }),
      "conflict",
    );
    assert.ok(api.find("persistentvolumeclaims", CLAIM, NAMESPACE) !== undefined, changed);
  }
});

Deno.test("ensureVolume: no empty claim beside data that lost its own", async () => {
  const { api } = cluster();
  await using _ = api;
  api.put("persistentvolumes", { metadata: { name: "pv-1", ...volumeMarks(PERMIT, PROJECT.key, false) } });
  await refused(
    ensureVolume(api.writing, { kind: "ensure-volume", volume: PROJECT, seen: null }, SITE),
    "conflict",
  );
  assert.deepEqual(api.asked, []);
});
