/** deploy/kubernetes on the real API server: a permit's whole life as WPS's own account, judged by the audit log. */
import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { areCanariesFresh } from "../../src/core/isolation.ts";
import { workspaceName } from "../../src/core/names.ts";
import { KubernetesDriver } from "../../src/drivers/kubernetes/driver.ts";
import { kubernetesSettings, type KubernetesSite } from "../../src/drivers/kubernetes/settings.ts";
import { type Cluster, requireOrReport, startCluster, STORAGE } from "../cluster/harness.ts";
import { consolidation, mount, volume, workspace } from "../conformance/fixtures.ts";
import { until } from "../services/until.ts";
import {
  type Account,
  entriesOf,
  grantedRules,
  refusals,
  usedRules,
  writeAccount,
} from "./kubernetes/account.ts";
import { Api } from "./kubernetes/api.ts";
import { sweep } from "./kubernetes/backend.ts";
import { Permit } from "./kubernetes/permit.ts";
import { machineClock, machineRandom, testSite } from "./kubernetes/site.ts";

const ignore = !(await requireOrReport("cluster"));
const isSites = Deno.env.has("WPS_TEST_KUBECONFIG");
const noAudit = ignore || isSites;
if (isSites && !ignore) {
  console.log("left out: which rules of the role are used: a site's audit log is out of reach");
}
const WORLD = { namespace: "nowhere", proxy: null };

async function accountFolder(cluster: Cluster): Promise<Account & { folder: string }> {
  const folder = await Deno.makeTempDir({ prefix: "wps-account-" });
  return { folder, ...await writeAccount(cluster, folder) };
}

function accountSite(cluster: Cluster, kubeconfig: string): KubernetesSite {
  const settings = kubernetesSettings.parse({
    kubeconfig,
    podGraceSeconds: 1,
    storageClasses: { default: STORAGE.standard },
  });
  return testSite(cluster, WORLD, { settings });
}

function accountDriver(
  site: KubernetesSite,
  readText = (path: string) => Deno.readTextFile(path),
): KubernetesDriver {
  return new KubernetesDriver(site, {
    clock: machineClock,
    random: machineRandom,
    readText,
    env: () => undefined,
  });
}

/** The API server takes a moment until a new admission policy acts. */
async function confined({ driver, context }: Permit): Promise<void> {
  await until("the admission policy acts", async () => {
    const lines = await driver.check(context.signal);
    return lines.every(({ result }) => result !== "failed") &&
      lines.some(({ check, result }) => check === "confinement" && result === "ok");
  });
}

/** Every action once, and what an intruder's changes ask for, until nothing is left. */
async function wholeLife(permit: Permit, api: Api): Promise<void> {
  const { driver } = permit;
  await permit.scope();
  await permit.scope(); // what stands is read before it is written again
  const project = volume("project");
  await permit.volume(project);
  await brokenImage(permit);
  await permit.volume(volume("raw", { sensitive: true }));
  await permit.volume(volume("uploads/a", { sensitive: true }));
  const research = workspace("research/a", { mounts: [mount("project", "rw")], sensitive: true });
  await permit.apply({ kind: "ensure-identity", workspace: research, rotate: true });
  await permit.start(research); // its pod is seen before it is ready, so its node is read
  const proven = await permit.workspace(research.key);
  const instanceUid = proven.instances[0]?.uid ?? assert.fail("no pod");
  await permit.apply({ kind: "retain-volume", volume: await permit.volumeIn("project", "bound") });
  assert.equal((await permit.prove(research, instanceUid)).method, "gate");
  await permit.open(research);
  const probe = await driver.probe({ workspaceKey: research.key, instanceUid }, permit.context);
  assert.equal(probe.found, "isolated", JSON.stringify(probe));
  await permit.apply({ kind: "cut-network", workspace: await permit.workspace(research.key) });
  await permit.apply({
    kind: "replace-instance",
    workspace: await permit.workspace(research.key),
    instanceUid,
  });
  await until("another pod is ready", async () => {
    const [instance] = (await permit.workspace(research.key)).instances;
    return instance?.ready && instance.uid !== instanceUid;
  });
  await permit.stop(research.key);
  const place = { namespace: permit.namespace, name: workspaceName(research.key) };
  await api.merge("statefulsets", place, {
    spec: { template: { metadata: { annotations: { intruder: "yes" } } } },
  });
  await permit.start(research);
  const stopped = await permit.stop(research.key);
  await permit.apply({
    kind: "taint-volume",
    volume: project,
    seen: (await permit.volumeIn("project", "bound")).seen,
  });
  await rebind(permit, api);
  const work = consolidation("a");
  await permit.apply({ kind: "consolidate", consolidation: work, task: null });
  const task = await until("it is consolidated", async () => {
    const found = (await permit.observe()).tasks.find(({ key }) => key === work.fromKey);
    return found?.state === "succeeded" && found;
  });
  await permit.apply({ kind: "remove-task", task });
  await permit.apply({
    kind: "remove-workspace",
    workspace: { ...stopped, ...await permit.workspace(research.key) },
  });
  await until("nothing of it is left", async () => (await permit.observe()).tasks.length === 0);
  for (const { key } of (await permit.observe()).volumes) {
    await permit.apply({ kind: "destroy-volume", volume: await permit.volumeIn(key, "bound") });
  }
  await until("the volumes are gone", async () => (await permit.observe()).volumes.length === 0);
  const { scope } = await permit.observe();
  await permit.apply({ kind: "destroy-scope", seen: scope.state === "absent" ? null : scope.seen });
  await until("the namespace is gone", async () => (await permit.observe()).scope.state === "absent");
  assert.ok(!(await driver.list(permit.context.signal)).includes(permit.permitId));
}

/** Only what is pending for long makes WPS read the namespace's events. */
async function brokenImage(permit: Permit): Promise<void> {
  const broken = workspace("broken/b");
  await permit.apply({ kind: "ensure-identity", workspace: broken, rotate: true });
  await permit.apply({ kind: "start", workspace: broken, seen: null });
  await until("its trouble is known", async () => {
    const [instance] = (await permit.workspace(broken.key)).instances;
    return instance?.trouble === "image-unavailable" && /registry\.invalid/.test(instance.reason ?? "");
  });
  await permit.stop(broken.key);
  // Its controller may write the pod's end down after this look, and then the removal is refused as it must be.
  await until("it is removed", async () => {
    const left = (await permit.observe()).workspaces.find(({ key }) => key === broken.key);
    if (left === undefined) return true;
    await permit.apply({ kind: "remove-workspace", workspace: left });
    return false;
  });
}

async function rebind(permit: Permit, api: Api): Promise<void> {
  const { name } = await permit.volumeIn("project", "bound");
  await api.remove("persistentvolumeclaims", { namespace: permit.namespace, name });
  // Its controller may write to the volume after this look, and then rebinding is refused as it must be.
  await until("it is bound anew", async () => {
    const { seen } = await permit.volumeIn("project", "released");
    try {
      await permit.apply({ kind: "rebind-volume", volume: volume("project"), seen });
      return true;
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.reason === "conflict") return false;
      throw thrown;
    }
  });
  await permit.volumeIn("project", "bound");
}

Deno.test("deploy/kubernetes: a permit's whole life uses each rule of the role, and lacks none", {
  ignore: noAudit,
}, async () => {
  const cluster = await startCluster();
  const { folder, ...account } = await accountFolder(cluster);
  const api = new Api(cluster);
  const driver = accountDriver(accountSite(cluster, account.kubeconfig));
  const permit = new Permit(driver, "account");
  const stop = new AbortController();
  try {
    await confined(permit);
    const { next: begun } = cluster.readAudit();
    const lines = await driver.check(permit.context.signal);
    assert.deepEqual(lines.filter(({ result }) => result === "failed"), []);
    const watching = driver.watch(() => {}, stop.signal);
    await wholeLife(permit, api);
    stop.abort();
    await watching;
    const entries = await until("the audit log is written", () => {
      const mine = entriesOf(account, cluster.readAudit(begun).entries);
      const ended = mine.some(({ verb, objectRef }) =>
        verb === "delete" && objectRef?.resource === "namespaces"
      );
      const watched = mine.filter(({ verb, stage }) => verb === "watch" && stage === "ResponseComplete");
      return ended && watched.length >= 7 && mine;
    });
    assert.deepEqual(refusals(entries), []);
    assert.deepEqual(usedRules(entries), grantedRules());
  } finally {
    stop.abort();
    await driver.close();
    await sweep(api, permit.permitId);
    await Deno.remove(folder, { recursive: true });
    await cluster.stop();
  }
});

/** What the account must be refused: by the admission policy, where RBAC grants it, or by the role itself. */
const TRESPASSES: { why: string; by?: "role"; method: string; path: string; body?: object }[] = [
  {
    why: "a namespace that is no permit's",
    method: "PATCH",
    path: "/api/v1/namespaces/default",
    body: { metadata: { labels: { a: "b" } } },
  },
  {
    why: "marking a namespace that is not WPS's as its own",
    method: "PATCH",
    path: "/api/v1/namespaces/default",
    body: {
      metadata: {
        labels: { "app.kubernetes.io/managed-by": "wps" },
        annotations: { "spe.wps/permit-id": "x" },
      },
    },
  },
  { why: "deleting another namespace", method: "DELETE", path: "/api/v1/namespaces/trespass" },
  {
    why: "a new namespace without the mark",
    method: "POST",
    path: "/api/v1/namespaces",
    body: { metadata: { name: "wps-x-0123456789ab" } },
  },
  {
    why: "a new namespace of another form",
    method: "POST",
    path: "/api/v1/namespaces",
    body: {
      metadata: {
        name: "other",
        labels: { "app.kubernetes.io/managed-by": "wps", "pod-security.kubernetes.io/enforce": "restricted" },
        annotations: { "spe.wps/permit-id": "x" },
      },
    },
  },
  {
    why: "a permit's namespace without Pod Security",
    method: "POST",
    path: "/api/v1/namespaces",
    body: {
      metadata: {
        name: "wps-x-0123456789ab",
        labels: { "app.kubernetes.io/managed-by": "wps" },
        annotations: { "spe.wps/permit-id": "x" },
      },
    },
  },
  {
    why: "a marked object in another namespace",
    method: "POST",
    path: "/api/v1/namespaces/trespass/services",
    body: {
      metadata: {
        name: "a",
        labels: { "app.kubernetes.io/managed-by": "wps" },
        annotations: { "spe.wps/permit-id": "x" },
      },
      spec: { ports: [{ port: 1 }] },
    },
  },
  {
    why: "deleting another namespace's claim",
    method: "DELETE",
    path: "/api/v1/namespaces/trespass/persistentvolumeclaims/theirs",
  },
  {
    why: "another namespace's policy",
    method: "PATCH",
    path: "/apis/networking.k8s.io/v1/namespaces/trespass/networkpolicies/theirs",
    body: { spec: { egress: [{}] } },
  },
  {
    why: "a volume of nobody's claim",
    method: "PATCH",
    path: "/api/v1/persistentvolumes/theirs",
    body: { spec: { persistentVolumeReclaimPolicy: "Delete" } },
  },
  {
    why: "an unmarked object in a permit's namespace",
    method: "DELETE",
    path: "/api/v1/namespaces/{permit}/services/theirs",
  },
  {
    why: "a new object without the mark in a permit's namespace",
    method: "POST",
    path: "/api/v1/namespaces/{permit}/services",
    body: { metadata: { name: "a" }, spec: { ports: [{ port: 1 }] } },
  },
  {
    why: "a pod of its own that mounts data",
    method: "POST",
    path: "/api/v1/namespaces/{permit}/pods",
    body: {
      metadata: {
        name: "a",
        labels: { "app.kubernetes.io/managed-by": "wps" },
        annotations: { "spe.wps/permit-id": "x" },
      },
      spec: {
        serviceAccountName: "workspace",
        securityContext: { runAsNonRoot: true, runAsUser: 1, seccompProfile: { type: "RuntimeDefault" } },
        containers: [{
          name: "a",
          image: "a:1",
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        }],
        volumes: [{ name: "data", persistentVolumeClaim: { claimName: "theirs" } }],
      },
    },
  },
  {
    why: "a new object without the mark beside the canaries",
    method: "POST",
    path: "/api/v1/namespaces/wps-canaries/services",
    body: { metadata: { name: "a" }, spec: { ports: [{ port: 1 }] } },
  },
  {
    why: "another kind of object beside the canaries",
    method: "POST",
    path: "/apis/networking.k8s.io/v1/namespaces/wps-canaries/networkpolicies",
    body: {
      metadata: {
        name: "a",
        labels: { "app.kubernetes.io/managed-by": "wps", "app.kubernetes.io/component": "canaries" },
      },
      spec: { podSelector: {} },
    },
  },
  {
    why: "the canaries' mark in a permit's namespace",
    method: "POST",
    path: "/api/v1/namespaces/{permit}/services",
    body: {
      metadata: {
        name: "a",
        labels: { "app.kubernetes.io/managed-by": "wps", "app.kubernetes.io/component": "canaries" },
      },
      spec: { ports: [{ port: 1 }] },
    },
  },
  { why: "the end of the canaries", method: "DELETE", path: "/api/v1/namespaces/wps-canaries" },
  {
    why: "the canaries' namespace without Pod Security",
    method: "PATCH",
    path: "/api/v1/namespaces/wps-canaries",
    body: { metadata: { labels: { "pod-security.kubernetes.io/enforce": "privileged" } } },
  },
  {
    why: "Secrets for somebody else",
    method: "POST",
    path: "/apis/rbac.authorization.k8s.io/v1/namespaces/{permit}/rolebindings",
    body: {
      metadata: {
        name: "a",
        labels: { "app.kubernetes.io/managed-by": "wps" },
        annotations: { "spe.wps/permit-id": "x" },
      },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "wps-permit-secrets" },
      subjects: [{ kind: "User", name: "eve", apiGroup: "rbac.authorization.k8s.io" }],
    },
  },
  {
    why: "any other role for itself",
    by: "role",
    method: "POST",
    path: "/apis/rbac.authorization.k8s.io/v1/namespaces/{permit}/rolebindings",
    body: {
      metadata: {
        name: "a",
        labels: { "app.kubernetes.io/managed-by": "wps" },
        annotations: { "spe.wps/permit-id": "x" },
      },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "admin" },
      subjects: [{ kind: "ServiceAccount", name: "wps", namespace: "wps" }],
    },
  },
  {
    why: "another namespace's Secret, by name",
    by: "role",
    method: "GET",
    path: "/api/v1/namespaces/trespass/secrets/theirs",
  },
  { why: "all Secrets of the cluster", by: "role", method: "GET", path: "/api/v1/secrets" },
  {
    why: "entering a pod",
    by: "role",
    method: "POST",
    path: "/api/v1/namespaces/{permit}/pods/a/exec?command=id",
  },
];

Deno.test(
  "deploy/kubernetes: the same account is refused outside of its own namespaces",
  { ignore },
  async (t) => {
    const cluster = await startCluster();
    const { folder, kubeconfig, token } = await accountFolder(cluster);
    const api = new Api(cluster);
    const driver = accountDriver(accountSite(cluster, kubeconfig));
    const permit = new Permit(driver, "confined");
    using client = Deno.createHttpClient({ caCerts: [cluster.connection.caCert ?? ""] });
    try {
      await confined(permit);
      await permit.scope();
      await permit.canaries([], areCanariesFresh);
      await api.create("services", permit.namespace, {
        metadata: { name: "theirs" },
        spec: { ports: [{ port: 1 }] },
      });
      await makeTheirs(cluster);
      for (const { why, by, method, path, body } of TRESPASSES) {
        await t.step(why, async () => {
          const response = await fetch(
            cluster.connection.server + path.replace("{permit}", permit.namespace),
            {
              client,
              method,
              headers: {
                authorization: `Bearer ${token}`,
                "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
              },
              body: body === undefined ? undefined : JSON.stringify(body),
            },
          );
          const answer = await response.text();
          assert.ok([403, 422].includes(response.status), `${response.status}: ${answer}`);
          assert.match(answer, by === "role" ? /forbidden/i : /ValidatingAdmissionPolicy 'wps-confinement'/);
        });
      }
    } finally {
      await driver.close();
      await sweep(api, permit.permitId);
      await cluster.kubectl([
        "delete",
        "namespace/trespass",
        "pv/theirs",
        "--wait=false",
        "--ignore-not-found",
      ]);
      await Deno.remove(folder, { recursive: true });
      await cluster.stop();
    }
  },
);

/** What belongs to somebody else, so that a refusal is not just an absence. */
async function makeTheirs(cluster: Cluster): Promise<void> {
  await cluster.apply(
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "trespass" } },
    { apiVersion: "v1", kind: "Secret", metadata: { name: "theirs", namespace: "trespass" } },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "theirs", namespace: "trespass" },
      spec: { podSelector: {} },
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "theirs", namespace: "trespass" },
      spec: {
        accessModes: ["ReadWriteOnce"],
        storageClassName: "none",
        resources: { requests: { storage: "1Mi" } },
      },
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "theirs" },
      spec: {
        accessModes: ["ReadWriteOnce"],
        capacity: { storage: "1Mi" },
        storageClassName: "none-at-all",
        hostPath: { path: "/nonexistent" },
      },
    },
  );
}

Deno.test("Transport: an expired token is read again on the real server", { ignore }, async () => {
  const cluster = await startCluster();
  const { folder, kubeconfig } = await accountFolder(cluster);
  let reads = 0;
  const driver = accountDriver(accountSite(cluster, kubeconfig), (path) => {
    if (path.endsWith("/token") && ++reads === 1) return Promise.resolve("expired");
    return Deno.readTextFile(path);
  });
  try {
    const observed = await driver.observe("never-was", new AbortController().signal);
    assert.equal(observed.scope.state, "absent");
    assert.ok(reads >= 2);
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
    await cluster.stop();
  }
});
