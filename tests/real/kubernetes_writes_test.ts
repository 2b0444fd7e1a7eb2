/** Invariant 9 and invariant 8 on the real API server: what conditional writes do, kind by kind. */
import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { permitName, taskName, workspaceName } from "../../src/core/names.ts";
import type { ObservedTask } from "../../src/core/observed.ts";
import { Client } from "../../src/drivers/kubernetes/client.ts";
import { claimManifest } from "../../src/drivers/kubernetes/manifests/claim.ts";
import { consolidationManifest } from "../../src/drivers/kubernetes/manifests/consolidation.ts";
import { secretManifest } from "../../src/drivers/kubernetes/manifests/identity.ts";
import { shutPolicyManifest } from "../../src/drivers/kubernetes/manifests/policy.ts";
import { scopeManifests } from "../../src/drivers/kubernetes/manifests/scope.ts";
import { serviceManifest, statefulSetManifest } from "../../src/drivers/kubernetes/manifests/workspace.ts";
import { kubernetesSettings, type KubernetesSite } from "../../src/drivers/kubernetes/settings.ts";
import { Transport } from "../../src/drivers/kubernetes/transport.ts";
import {
  describePlace,
  type Manifest,
  type Place,
  type Resource,
} from "../../src/drivers/kubernetes/wire.ts";
import {
  applyOwned,
  applySeen,
  createOnly,
  removeSeen,
  type Writing,
} from "../../src/drivers/kubernetes/write.ts";
import { type Cluster, requireOrReport, startCluster } from "../cluster/harness.ts";
import { consolidation, mount, volume, workspace } from "../conformance/fixtures.ts";
import { until } from "../services/until.ts";
import { Api } from "./kubernetes/api.ts";
import { sweep } from "./kubernetes/backend.ts";
import { Permit } from "./kubernetes/permit.ts";
import { machineClock, testDriver, testSite } from "./kubernetes/site.ts";

const ignore = !(await requireOrReport("cluster"));
const WORLD = { namespace: "nowhere", proxy: null };
const APPLIED_BY_US = [{ manager: "wps", operation: "Apply" }];

/** Runs with a cluster and a permit, and leaves nothing of either. */
async function withPermit(
  label: string,
  run: (permit: Permit, api: Api, site: KubernetesSite) => Promise<void>,
): Promise<void> {
  const cluster = await startCluster();
  const site = testSite(cluster, WORLD);
  const driver = testDriver(site);
  const permit = new Permit(driver, label);
  const api = new Api(cluster);
  try {
    await run(permit, api, site);
  } finally {
    await driver.close();
    await sweep(api, permit.permitId);
    await cluster.stop();
  }
}

function writingTo(cluster: Cluster, permitId: string): { writing: Writing; transport: Transport } {
  const settings = kubernetesSettings.parse({ kubeconfig: cluster.kubeconfigPath });
  const readText = (path: string): Promise<string> => Deno.readTextFile(path);
  const transport = new Transport({
    settings,
    surroundings: { clock: machineClock, readText, env: () => undefined },
  });
  const client = new Client(transport);
  return {
    writing: { client, permitId, signal: new AbortController().signal, clock: machineClock },
    transport,
  };
}

async function refused(promise: Promise<unknown>, reason: Fault["reason"]): Promise<void> {
  await assert.rejects(promise, (thrown) => {
    assert.ok(thrown instanceof Fault, `${thrown}`);
    assert.equal(thrown.reason, reason, thrown.message);
    return true;
  });
}

/** Managers without the parts that others rightly have: status, and a controller's own marks on metadata. */
async function ownManagers(
  api: Api,
  resource: Resource,
  place: Place,
): Promise<{ manager: string; operation: string }[]> {
  const managers = await api.managers(resource, place);
  return managers.filter(({ manager, subresource }) => manager === "wps" && subresource === undefined)
    .map(({ manager, operation }) => ({ manager, operation }));
}

/** One manifest of each kind that WPS writes. */
function everyKind(permitId: string, site: KubernetesSite): [Resource, Manifest<Resource>][] {
  const account = { kind: "ServiceAccount", namespace: "wps", name: "wps" };
  const traits = { podSecurityVersion: "v1.36", account };
  const scope = scopeManifests({ permitId, fsGroup: 1, members: 1, secretsRole: "view", traits });
  const research = workspace("research/a");
  const control = { at: new Date().toISOString(), alive: [], silent: [] };
  const gate = { script: "exit 0", lines: ["tcp 192.0.2.10 443"], control };
  return [
    ["namespaces", scope.namespace],
    ["resourcequotas", scope.quota],
    ["limitranges", scope.limits],
    ["networkpolicies", scope.defaultDeny],
    ["serviceaccounts", scope.account],
    ["rolebindings", scope.secretsAccess],
    ["persistentvolumeclaims", claimManifest(permitId, volume("raw"), site)],
    ["secrets", secretManifest(permitId, research, { password: "p", hostKey: null })],
    ["services", serviceManifest(permitId, research, site)],
    ["networkpolicies", shutPolicyManifest(permitId, research, "absent")],
    ["statefulsets", { ...statefulSetManifest(permitId, research, site, null) }],
    ["jobs", consolidationManifest(permitId, consolidation("a"), "exit 0", gate, site)],
  ];
}

Deno.test("createOnly, applySeen, removeSeen: on every kind, and the managed fields stay one manager's", {
  ignore,
}, async (t) => {
  await withPermit("kinds", async ({ permitId }, api, site) => {
    const { writing, transport } = writingTo(api.cluster, permitId);
    try {
      for (const [resource, manifest] of everyKind(permitId, site)) {
        const place = { namespace: manifest.metadata.namespace, name: manifest.metadata.name };
        await t.step(describePlace(resource, place), async () => {
          const gone = { uid: crypto.randomUUID(), version: "5" };
          await refused(applySeen(writing, resource, manifest, gone), "conflict");
          const made = await createOnly(writing, resource, manifest);
          assert.deepEqual(await ownManagers(api, resource, place), APPLIED_BY_US, "a creation is an apply");
          await refused(createOnly(writing, resource, manifest), "conflict");
          const seen = { uid: made.metadata.uid, version: made.metadata.resourceVersion };
          await api.merge(resource, place, { metadata: { labels: { "example/touched": "yes" } } });
          await refused(applySeen(writing, resource, manifest, seen), "conflict");
          await refused(applySeen(writing, resource, manifest, { ...seen, uid: gone.uid }), "conflict");
          await refused(removeSeen(writing, resource, place, seen), "conflict");
          const again = await applyOwned(writing, resource, manifest);
          assert.equal(again.metadata.uid, seen.uid, "whatever its version, it is ours");
          assert.deepEqual(await ownManagers(api, resource, place), APPLIED_BY_US);
        });
      }
    } finally {
      await transport.close();
    }
  });
});

Deno.test(
  "applyOwned: an object of somebody else's under our name stays exactly as it was",
  { ignore },
  async () => {
    await withPermit("foreign", async (permit, api) => {
      await permit.scope();
      const research = workspace("research/a");
      const place = { namespace: permit.namespace, name: workspaceName(research.key) };
      for (const resource of ["secrets", "services", "networkpolicies"] as const) {
        const spec = resource === "services"
          ? { ports: [{ port: 1 }] }
          : resource === "networkpolicies"
          ? { podSelector: { matchLabels: { app: "theirs" } } }
          : undefined;
        await api.create(resource, permit.namespace, { metadata: { name: place.name }, spec });
      }
      const before = await Promise.all([
        api.need("secrets", place),
        api.need("services", place),
        api.need("networkpolicies", place),
      ]);
      await refused(
        permit.apply({ kind: "ensure-identity", workspace: research, rotate: true }),
        "foreign-object",
      );
      const observed = await permit.observe();
      assert.equal(observed.foreign.length, 3, JSON.stringify(observed.foreign));
      const after = await Promise.all([
        api.need("secrets", place),
        api.need("services", place),
        api.need("networkpolicies", place),
      ]);
      assert.deepEqual(after, before);
    });
  },
);

Deno.test(
  "cut-network: takes back what an intruder put into the workspace's own policy",
  { ignore },
  async () => {
    await withPermit("intruder", async (permit, api) => {
      await permit.scope();
      const research = workspace("research/a");
      await permit.apply({ kind: "ensure-identity", workspace: research, rotate: true });
      await permit.apply({ kind: "cut-network", workspace: await permit.workspace(research.key) });
      const place = { namespace: permit.namespace, name: workspaceName(research.key) };
      await api.merge("networkpolicies", place, { spec: { egress: [{}], ingress: [{}] } });
      const breached = await permit.workspace(research.key);
      assert.equal(breached.network.state, "breached");
      await permit.apply({ kind: "cut-network", workspace: breached });
      assert.equal((await permit.workspace(research.key)).network.state, "shut");
      const { spec } = await api.need("networkpolicies", place);
      assert.deepEqual(spec, {
        podSelector: { matchLabels: { "spe.wps/workspace": place.name } },
        policyTypes: ["Ingress", "Egress"],
      });
    });
  },
);

Deno.test("ensure-scope: undoes what an intruder did to each guard", { ignore }, async () => {
  await withPermit("guards", async (permit, api) => {
    await permit.scope();
    const namespace = permit.namespace;
    const guard = (name: string): Place => ({ namespace, name });
    await api.merge("networkpolicies", guard("wps-default-deny"), {
      spec: { ingress: [{}], policyTypes: ["Ingress"] },
    });
    await api.merge("resourcequotas", guard("wps-quota"), { spec: { hard: { pods: "9999" } } });
    await api.merge("limitranges", guard("wps-limits"), { spec: { limits: [] } });
    await api.merge("serviceaccounts", guard("workspace"), { automountServiceAccountToken: true });
    const eve = { kind: "User", name: "eve", apiGroup: "rbac.authorization.k8s.io" };
    await api.merge("rolebindings", guard("wps-secrets"), { subjects: [eve] });
    await api.merge("namespaces", { name: namespace }, {
      metadata: { labels: { "pod-security.kubernetes.io/enforce": "privileged" } },
    });
    const { scope } = await permit.observe();
    assert.equal(scope.state, "incomplete");
    const detail = scope.state === "incomplete" ? scope.detail ?? "" : "";
    for (const name of ["default-deny", "quota", "limits", "workspace", "secrets", "enforce"]) {
      assert.ok(detail.includes(name), `${name} is named in: ${detail}`);
    }
    await permit.scope();
    assert.deepEqual((await permit.observe()).scope.state, "intact");
  });
});

Deno.test("start: what others put into the template is gone when it runs again", { ignore }, async () => {
  await withPermit("template", async (permit, api) => {
    await permit.scope();
    await permit.volume(volume("project"));
    await permit.volume(volume("raw"));
    const research = workspace("research/a", { mounts: [mount("project", "rw")] });
    await permit.start(research);
    const place = { namespace: permit.namespace, name: workspaceName(research.key) };
    await permit.stop(research.key);
    const raw = (await permit.observe()).volumes.find(({ key }) => key === "raw")?.name;
    // As a merge by another manager: a server-side apply of ours alone would leave these in place.
    const json = structuredClone((await api.need("statefulsets", place)).spec?.template.spec) ??
      assert.fail();
    json.volumes?.push({ name: "stolen", persistentVolumeClaim: { claimName: raw ?? "" } });
    json.containers[0]?.volumeMounts?.push({ name: "stolen", mountPath: "/stolen" });
    await api.merge("statefulsets", place, { spec: { template: { spec: json } } });
    const altered = await permit.workspace(research.key);
    const running = await permit.start(research);
    assert.notEqual(altered.specHash, running.specHash, "it was seen");
    assert.deepEqual(running.instances[0]?.mounts.map(({ volumeKey }) => volumeKey), ["project"]);
    const { spec } = await api.need("statefulsets", place);
    assert.ok(!JSON.stringify(spec).includes("stolen"));
  });
});

Deno.test("start: after a stop an apply takes away what is no longer wanted", { ignore }, async () => {
  await withPermit("shrink", async (permit, api) => {
    await permit.scope();
    for (const key of ["project", "raw"]) await permit.volume(volume(key));
    const both = workspace("research/a", {
      mounts: [mount("project", "rw"), mount("raw", "ro")],
      posture: "open",
    });
    await permit.start(both);
    await permit.stop(both.key);
    const one = workspace("research/a", { mounts: [mount("project", "rw")] });
    const running = await permit.start(one);
    assert.deepEqual(running.instances[0]?.mounts.map(({ volumeKey }) => volumeKey), ["project"]);
    const place = { namespace: permit.namespace, name: workspaceName(one.key) };
    assert.deepEqual((await ownManagers(api, "statefulsets", place)).map(({ operation }) => operation), [
      "Apply",
      "Update",
    ]);
    assert.equal((await api.need("statefulsets", place)).spec?.replicas, 1);
  });
});

Deno.test("consolidate: a failed Job is replaced, exactly the one that was seen", { ignore }, async () => {
  await withPermit("task", async (permit, api) => {
    await permit.scope();
    await permit.volume(volume("raw"));
    await permit.volume(volume("uploads/a"));
    const work = { ...consolidation("a"), uid: 21001 };
    const stale: ObservedTask = {
      key: work.fromKey,
      name: taskName(work.fromKey),
      state: "failed",
      message: null,
      pods: [],
      network: { state: "shut" },
      terminating: null,
      seen: { uid: crypto.randomUUID(), version: "3" },
    };
    await permit.apply({ kind: "consolidate", consolidation: work, task: null });
    await refused(permit.apply({ kind: "consolidate", consolidation: work, task: stale }), "conflict");
    assert.equal((await api.list("jobs", permitName(permit.permitId))).length, 1);
  });
});

Deno.test(
  "consolidate: a Job of another gate is replaced, but not beside its pods",
  { ignore },
  async () => {
    await withPermit("altered", async (permit, api, site) => {
      await permit.scope();
      for (const key of ["raw", "uploads/a"]) await permit.volume(volume(key, { sensitive: true }));
      const work = consolidation("a");
      const control = { at: new Date().toISOString(), alive: [], silent: [] };
      const gate = { script: "exit 0", lines: [], control };
      const job = consolidationManifest(permit.permitId, work, "sleep 600", gate, site);
      const containers = job.spec?.template.spec?.initContainers ?? assert.fail("no gate");
      containers.unshift(...containers.map((first) => ({ ...first, name: "first" })));
      await api.create("jobs", permit.namespace, job);
      const taskThat = (holds: (task: ObservedTask) => boolean): Promise<ObservedTask> =>
        until("the task", async () => (await permit.observe()).tasks.find((task) => holds(task)) ?? false);
      await until("its pod runs", async () => {
        const [pod] = await api.list("pods", permit.namespace);
        return pod?.status?.phase === "Running";
      });
      const altered = await taskThat(({ pods }) => pods.length === 1);
      assert.deepEqual(
        [altered.state, altered.message],
        ["failed", "altered: another container runs before the isolation gate"],
      );
      const [before] = await api.list("pods", permit.namespace);
      await until("another Job stands", async () => {
        const [task = null] = (await permit.observe()).tasks;
        const action = { kind: "consolidate", consolidation: work, task } as const;
        // While its pod ends the Job stays, and its controller may write to it after this look.
        return await permit.apply(action).then(() => true, (thrown) => {
          assert.equal(thrown.reason, "conflict", thrown.message);
          return false;
        });
      });
      const pods = await api.list("pods", permit.namespace);
      assert.ok(!pods.some(({ metadata }) => metadata.uid === before?.metadata.uid), "its pod is gone");
      await taskThat(({ state }) => state === "succeeded");
    });
  },
);
