/** The real API server in trouble, or refusing: lost answers, broken connections, quotas, policies, missing rights. */
import assert from "node:assert/strict";
import { type Disposition, Fault, type Reason } from "../../src/core/fault.ts";
import { workspaceName } from "../../src/core/names.ts";
import { Client } from "../../src/drivers/kubernetes/client.ts";
import { KubernetesDriver } from "../../src/drivers/kubernetes/driver.ts";
import { kubernetesSettings, type KubernetesSite } from "../../src/drivers/kubernetes/settings.ts";
import { Transport } from "../../src/drivers/kubernetes/transport.ts";
import { watchResource } from "../../src/drivers/kubernetes/watch.ts";
import { type Cluster, requireOrReport, startCluster } from "../cluster/harness.ts";
import { volume, workspace } from "../conformance/fixtures.ts";
import { until } from "../services/until.ts";
import { Api } from "./kubernetes/api.ts";
import { sweep } from "./kubernetes/backend.ts";
import { Permit } from "./kubernetes/permit.ts";
import { machineClock, machineRandom, testDriver, testSite } from "./kubernetes/site.ts";
import { startWireCutter, type WireCutter } from "./kubernetes/wire_cutter.ts";

const ignore = !(await requireOrReport("cluster"));
/** The relay answers on loopback, which only the test cluster's certificate names. */
const ignoreElsewhere = ignore || Deno.env.has("WPS_TEST_KUBECONFIG");
const WORLD = { namespace: "nowhere", proxy: null };
const SETTINGS_PATH = "/through-the-relay";

/** The administrator's access, through a relay. */
function relayed(
  cluster: Cluster,
  cutter: WireCutter,
): { site: KubernetesSite; readText: (path: string) => Promise<string> } {
  const { caCert = "", token = "" } = cluster.connection;
  const files: Record<string, string> = {
    [SETTINGS_PATH]: `
clusters: [{ name: c, cluster: { server: "https://127.0.0.1:${cutter.port}", certificate-authority: /ca } }]
users: [{ name: u, user: { token: ${token} } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`,
    "/ca": caCert,
  };
  const usual = testSite(cluster, WORLD);
  const settings = { ...usual.settings, kubeconfig: SETTINGS_PATH, requestTimeoutMs: 1_000 };
  const readText = (path: string): Promise<string> => {
    const text = files[path];
    return text === undefined ? Deno.readTextFile(path) : Promise.resolve(text);
  };
  return { site: { ...usual, settings }, readText };
}

async function withRelay(
  run: (permit: Permit, cutter: WireCutter, api: Api) => Promise<void>,
): Promise<void> {
  const cluster = await startCluster();
  const { hostname, port } = new URL(cluster.connection.server);
  await using cutter = startWireCutter(hostname, Number(port));
  const { site, readText } = relayed(cluster, cutter);
  const driver = new KubernetesDriver(site, {
    clock: machineClock,
    random: machineRandom,
    readText,
    env: () => undefined,
  });
  const permit = new Permit(driver, "relay");
  const api = new Api(cluster);
  try {
    await run(permit, cutter, api);
  } finally {
    await driver.close();
    await sweep(api, permit.permitId);
    await cluster.stop();
  }
}

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  try {
    await promise;
  } catch (thrown) {
    assert.ok(thrown instanceof Fault, `${thrown}`);
    return thrown;
  }
  return assert.fail("it must be refused");
}

Deno.test(
  "a write whose answer is lost was done once, and may be repeated",
  { ignore: ignoreElsewhere },
  async () => {
    await withRelay(async (permit, cutter, api) => {
      await permit.scope();
      const research = workspace("research/a");
      await permit.apply({ kind: "ensure-identity", workspace: research, rotate: true });
      const place = { namespace: permit.namespace, name: workspaceName(research.key) };
      const start = { kind: "start", workspace: research, seen: null } as const;
      cutter.loseAnswers();
      const lost = await faultOf(permit.apply(start));
      assert.deepEqual([lost.disposition, lost.reason], ["retry", "timeout"]);
      const { uid } = (await api.need("statefulsets", place)).metadata;
      cutter.mend();
      const again = await faultOf(permit.apply(start));
      assert.deepEqual(
        [again.disposition, again.reason],
        ["retry", "conflict"],
        "it stands: the next observation shows it",
      );
      const observed = await permit.workspace(research.key);
      assert.deepEqual([observed.power, observed.compute?.uid], ["running", uid]);
      cutter.loseAnswers();
      assert.equal(
        (await faultOf(permit.apply({ kind: "cut-network", workspace: observed }))).reason,
        "timeout",
      );
      cutter.mend();
      await permit.apply({ kind: "cut-network", workspace: observed });
      assert.equal((await permit.workspace(research.key)).network.state, "shut");
    });
  },
);

Deno.test("connections that broke unnoticed are made anew by the request that finds out", {
  ignore: ignoreElsewhere,
}, async () => {
  await withRelay(async (permit, cutter) => {
    await permit.scope();
    for (let round = 0; round < 3; round++) {
      const before = cutter.connections();
      cutter.cut();
      assert.equal((await permit.observe()).scope.state, "intact");
      assert.ok(cutter.connections() > before);
    }
  });
});

Deno.test(
  "a watch that is cut goes on by itself and misses nothing that lasts",
  { ignore: ignoreElsewhere },
  async () => {
    await withRelay(async (permit, cutter) => {
      const stop = new AbortController();
      const called: string[] = [];
      const watching = permit.driver.watch((permitId) => called.push(permitId), stop.signal);
      try {
        await permit.scope();
        await until("it is told", () => called.includes(permit.permitId));
        cutter.cut();
        called.length = 0;
        await until("a change behind the cut is told", async () => {
          await permit.apply({ kind: "ensure-volume", volume: volume("raw"), seen: null }).catch((
            fault: Fault,
          ) => fault);
          return called.includes(permit.permitId);
        });
      } finally {
        stop.abort();
        await watching;
      }
    });
  },
);

Deno.test(
  "watchResource: a version that the API server has forgotten leads to a list",
  { ignore },
  async () => {
    const cluster = await startCluster();
    const settings = kubernetesSettings.parse({ kubeconfig: cluster.kubeconfigPath });
    const readText = (path: string): Promise<string> => Deno.readTextFile(path);
    const transport = new Transport({
      settings,
      surroundings: { clock: machineClock, readText, env: () => undefined },
    });
    const client = new Client(transport);
    const stop = new AbortController();
    const lists: string[] = [];
    const opened: string[] = [];
    const listMetadata = client.listMetadata.bind(client);
    client.listMetadata = async (...asked) => {
      const listed = await listMetadata(...asked);
      lists.push(listed.resourceVersion);
      return listed;
    };
    // The first watch begins at a version from before its kind existed: no API server can still know that one.
    const openWatch = client.openWatch.bind(client);
    client.openWatch = async (resource, query, signal) => {
      opened.push(query.resourceVersion);
      if (opened.length > 1) return await openWatch(resource, query, signal);
      const old = { watch: "1", resourceVersion: "1", timeoutSeconds: "60" };
      const asked = { verb: "watch", resource, target: resource, secret: false };
      return await transport.open(
        { method: "GET", path: await lateKind(cluster), query: old, asked },
        signal,
      );
    };
    try {
      const watching = watchResource(
        client,
        "pods",
        { clock: machineClock, random: machineRandom },
        () => {},
        stop.signal,
      );
      try {
        await until("it watches again", () => opened.length > 1);
        assert.deepEqual([lists.length, opened[1]], [2, lists[1]], "from where the second list stands");
      } finally {
        stop.abort();
        await watching;
      }
    } finally {
      await cluster.tryKubectl(["delete", "customresourcedefinition", LATE_KIND]);
      await transport.close();
      await cluster.stop();
    }
  },
);

const LATE_KIND = "latecomers.test.wps.example";

/** A kind whose history begins now; gives its path. */
async function lateKind(cluster: Cluster): Promise<string> {
  const [plural = "", group = ""] = [LATE_KIND.split(".")[0], LATE_KIND.slice(LATE_KIND.indexOf(".") + 1)];
  await cluster.apply({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: LATE_KIND },
    spec: {
      group,
      scope: "Cluster",
      names: { plural, singular: "latecomer", kind: "Latecomer" },
      versions: [{
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object" } },
      }],
    },
  });
  await cluster.kubectl(["wait", "--for=condition=Established", `crd/${LATE_KIND}`, "--timeout=30s"]);
  const path = `/apis/${group}/v1/${plural}`;
  await until("it is served", async () => (await cluster.tryKubectl(["get", "--raw", path])).code === 0);
  return path;
}

interface Refusal {
  why: string;
  /** Done to the permit's namespace before. */
  prepare: (permit: Permit, api: Api) => Promise<void>;
  expected: [Disposition, Reason];
  message: RegExp;
  advice: RegExp;
}

const REFUSALS: Refusal[] = [
  {
    why: "a quota of the site is used up",
    prepare: async ({ namespace }, api) => {
      await api.create("resourcequotas", namespace, {
        metadata: { name: "site" },
        spec: { hard: { services: "0" } },
      });
      await until(
        "the quota counts",
        async () => (await api.need("resourcequotas", { namespace, name: "site" })).status?.hard,
      );
    },
    expected: ["wait", "quota-exceeded"],
    message: /Service .*exceeded quota: site/,
    advice: /Raise the quota/,
  },
  {
    why: "an admission policy of the site refuses Services",
    prepare: async ({ namespace }, { cluster }) => {
      const name = `refuse-${namespace.slice(-12)}`;
      const matching = {
        resourceRules: [{
          apiGroups: [""],
          apiVersions: ["v1"],
          operations: ["CREATE"],
          resources: ["services"],
        }],
      };
      const apiVersion = "admissionregistration.k8s.io/v1";
      await cluster.apply({
        apiVersion,
        kind: "ValidatingAdmissionPolicy",
        metadata: { name },
        spec: {
          failurePolicy: "Fail",
          matchConstraints: matching,
          validations: [{
            expression: `object.metadata.namespace != '${namespace}'`,
            message: "no Services here",
          }],
        },
      }, {
        apiVersion,
        kind: "ValidatingAdmissionPolicyBinding",
        metadata: { name },
        spec: { policyName: name, validationActions: ["Deny"] },
      });
      await until("the policy acts", async () => {
        const manifest = JSON.stringify({
          apiVersion: "v1",
          kind: "Service",
          metadata: { name: "try", namespace },
          spec: { ports: [{ port: 1 }] },
        });
        return (await cluster.tryKubectl(["create", "--dry-run=server", "-f", "-"], { stdin: manifest }))
          .code !== 0;
      });
    },
    expected: ["stalled", "policy-refused"],
    message: /ValidatingAdmissionPolicy.*no Services here/,
    advice: /policy/,
  },
  {
    why: "the namespace is going away",
    prepare: async (permit, api) => {
      const { namespace } = permit;
      await api.create("persistentvolumeclaims", namespace, {
        metadata: { name: "held", finalizers: ["suite.example/stuck"] },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
      });
      await api.remove("namespaces", { name: namespace });
    },
    expected: ["wait", "terminating"],
    message: /being terminated|NamespaceTerminating/,
    advice: /Wait until the namespace is gone/,
  },
];

for (const { why, prepare, expected, message, advice } of REFUSALS) {
  Deno.test(`ensure-identity: ${expected.join(", ")} when ${why}`, { ignore }, async () => {
    const cluster = await startCluster();
    const api = new Api(cluster);
    const driver = testDriver(testSite(cluster, WORLD));
    const permit = new Permit(driver, "refused");
    try {
      await permit.scope();
      await prepare(permit, api);
      const fault = await faultOf(
        permit.apply({ kind: "ensure-identity", workspace: workspace("research/a"), rotate: true }),
      );
      assert.deepEqual([fault.disposition, fault.reason], expected, fault.message);
      assert.match(fault.message, message);
      assert.match(fault.advice ?? "", advice);
    } finally {
      await driver.close();
      const name = `refuse-${permit.namespace.slice(-12)}`;
      await cluster.kubectl(["delete", "validatingadmissionpolicybinding", name, "--ignore-not-found"]);
      await cluster.kubectl(["delete", "validatingadmissionpolicy", name, "--ignore-not-found"]);
      await sweep(api, permit.permitId);
      await cluster.stop();
    }
  });
}

Deno.test(
  "an account without rights is told verb and resource, in a check and in a fault",
  { ignore },
  async () => {
    const cluster = await startCluster();
    const namespace = `nobody-${crypto.randomUUID().slice(0, 8)}`;
    await cluster.kubectl(["create", "namespace", namespace]);
    const mounted: Record<string, string> = {
      "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt": cluster.connection.caCert ?? "",
      "/var/run/secrets/kubernetes.io/serviceaccount/token": "",
    };
    try {
      await cluster.kubectl(["create", "serviceaccount", "nobody", "-n", namespace]);
      const token = (await cluster.kubectl(["create", "token", "nobody", "-n", namespace])).trim();
      mounted["/var/run/secrets/kubernetes.io/serviceaccount/token"] = `${token}\n`;
      const { hostname, port } = new URL(cluster.connection.server);
      const env: Record<string, string> = {
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
      };
      // As within a pod: by the mounted account alone.
      const settings = kubernetesSettings.parse({ inCluster: true });
      const driver = new KubernetesDriver({ ...testSite(cluster, WORLD), settings }, {
        clock: machineClock,
        random: machineRandom,
        readText: (path) => Promise.resolve(mounted[path] ?? ""),
        env: (name) => env[name],
      });
      const permit = new Permit(driver, "nobody");
      const lines = await driver.check(permit.context.signal);
      assert.equal(
        lines.find(({ check }) => check === "account")?.detail,
        `system:serviceaccount:${namespace}:nobody`,
      );
      const permissions = lines.find(({ check }) => check === "permissions");
      assert.equal(permissions?.result, "failed");
      assert.match(permissions?.detail ?? "", /patch namespaces.*bind clusterroles\/wps-permit-secrets/);
      const fault = await faultOf(permit.apply({ kind: "ensure-scope", fsGroup: 1, members: 1, seen: null }));
      assert.deepEqual([fault.disposition, fault.reason], ["stalled", "denied"]);
      assert.match(fault.advice ?? "", /verb patch on namespaces/);
      await driver.close();
    } finally {
      await cluster.kubectl(["delete", "namespace", namespace, "--wait=false"]);
      await cluster.stop();
    }
  },
);
