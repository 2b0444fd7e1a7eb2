/** What the driver sees and gives on the real cluster, beyond what every platform's suite asks. */
import assert from "node:assert/strict";
import { workspaceName } from "../../src/core/names.ts";
import { troubleOf } from "../../src/core/trouble.ts";
import { statefulSetManifest } from "../../src/drivers/kubernetes/manifests/workspace.ts";
import type { KubernetesSite } from "../../src/drivers/kubernetes/settings.ts";
import { NET, requireOrReport, startCluster } from "../cluster/harness.ts";
import { mount, volume, workspace } from "../conformance/fixtures.ts";
import { until } from "../services/until.ts";
import { Api } from "./kubernetes/api.ts";
import { sweep } from "./kubernetes/backend.ts";
import { opens } from "./kubernetes/outside.ts";
import { Permit } from "./kubernetes/permit.ts";
import { HOST_CIDR, testDriver, testSite } from "./kubernetes/site.ts";

const ignore = !(await requireOrReport("cluster"));
/** Those that look at the node from outside need the project's own cluster. */
const isSites = Deno.env.has("WPS_TEST_KUBECONFIG");
const ignoreElsewhere = ignore || isSites;
if (isSites && !ignore) {
  console.log(
    "left out: what asks the node from outside, or with a client certificate: only tests/cluster has them",
  );
}
const PROXY = "192.0.2.80";

/** Runs with a permit on the cluster, for a site changed by `given`, and leaves nothing of it. */
async function withPermit(
  label: string,
  run: (permit: Permit, api: Api, site: KubernetesSite) => Promise<void>,
  given: Partial<Pick<KubernetesSite, "singleNode" | "tiers">> & { storageClasses?: Record<string, string> } =
    {},
): Promise<void> {
  const cluster = await startCluster();
  const api = new Api(cluster);
  const usual = testSite(cluster, { namespace: "nowhere", proxy: PROXY });
  const { storageClasses = usual.settings.storageClasses, ...parts } = given;
  const site = { ...usual, ...parts, settings: { ...usual.settings, storageClasses } };
  const driver = testDriver(site);
  const permit = new Permit(driver, label);
  try {
    await run(permit, api, site);
  } finally {
    await driver.close();
    await sweep(api, permit.permitId);
    await cluster.stop();
  }
}

/** The output of a command in the workspace's container. */
async function inside(api: Api, permit: Permit, key: string, ...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await api.cluster.exec(
    permit.namespace,
    `${workspaceName(key)}-0`,
    command,
  );
  assert.equal(code, 0, stderr);
  return stdout;
}

Deno.test(
  "observe: a pod on a node that does not answer is unreachable, deleted or not",
  { ignore },
  async () => {
    const node = `lost-${crypto.randomUUID().slice(0, 8)}`;
    await withPermit("lost", async (permit, api, site) => {
      await permit.scope();
      const research = workspace("research/a");
      const { template } = statefulSetManifest(permit.permitId, research, site, null).spec ?? assert.fail();
      // A node that never sends a sign of life: after a while its controller calls it unknown. The pod is bound to it by
      // hand, because no scheduler would.
      await api.create("nodes", undefined, {
        metadata: { name: node },
        spec: { taints: [{ key: "lost", effect: "NoSchedule" }] },
      });
      const name = `${workspaceName(research.key)}-0`;
      const spec = { ...template.spec, nodeName: node };
      await api.create("pods", permit.namespace, { metadata: { name, ...template.metadata }, spec });
      const state = async (): Promise<string | undefined> =>
        (await permit.workspace(research.key)).instances[0]?.state;
      await until("it is unreachable", async () => await state() === "unreachable");
      await api.remove("pods", { namespace: permit.namespace, name });
      assert.equal(await state(), "unreachable", "deleted, and still counted as running (invariant 2)");
      await api.remove("nodes", { name: node });
      assert.equal(await state(), "unreachable", "its node gone, nobody can say that it ended");
    }).finally(async () => {
      const cluster = await startCluster();
      await cluster.tryKubectl(["delete", "node", node, "--ignore-not-found"]);
      await cluster.stop();
    });
  },
);

Deno.test(
  "observe: a claim of a class that does not exist names it, and what waits for it",
  { ignore },
  async () => {
    await withPermit("pending", async (permit) => {
      await permit.scope();
      await permit.apply({ kind: "ensure-volume", volume: volume("raw"), seen: null });
      const waiting = workspace("research/a", { mounts: [mount("raw", "ro", "/raw")] });
      await permit.apply({ kind: "ensure-identity", workspace: waiting, rotate: true });
      await permit.apply({ kind: "start", workspace: waiting, seen: null });
      const observed = await until("both say why", async () => {
        const found = await permit.observe();
        const [raw] = found.volumes;
        const pod = found.workspaces[0]?.instances[0];
        return raw?.trouble === "storage-class-missing" && pod?.trouble === "unschedulable" && found;
      });
      assert.match(
        observed.volumes[0]?.detail ?? "",
        /^PVC vol-raw.* storage class no-such-class does not exist$/,
      );
      const trouble = troubleOf([{ is: "ready", workspace: waiting.key }], observed);
      assert.equal(trouble?.reason, "storage-class-missing", "the cause comes before what it causes");
    }, { storageClasses: { raw: "no-such-class" } });
  },
);

Deno.test("observe: a pod that fits on no node says so in the scheduler's words", { ignore }, async () => {
  await withPermit("unschedulable", async (permit) => {
    await permit.scope();
    const huge = workspace("research/a");
    await permit.apply({ kind: "ensure-identity", workspace: huge, rotate: true });
    await permit.apply({ kind: "start", workspace: huge, seen: null });
    const instance = await until("the scheduler has refused it", async () => {
      const [found] = (await permit.workspace(huge.key)).instances;
      return found?.trouble === "unschedulable" && found;
    });
    assert.match(instance.reason ?? "", /^Unschedulable: 0\/\d+ nodes are available/);
  }, { tiers: { standard: { cpu: "4000", memory: "64Mi" } } });
});

Deno.test("start: the inside is what images may count on (DESIGN 4)", { ignore }, async () => {
  await withPermit("inside", async (permit, api) => {
    await permit.scope();
    await permit.volume(volume("home/a"));
    const research = workspace("research/a", {
      posture: "proxied",
      mounts: [mount("home/a", "rw", "/home/a")],
      account: { username: "a", uid: 21001, gid: 21002 },
    });
    await permit.start(research);
    const run = (...command: string[]): Promise<string> => inside(api, permit, research.key, ...command);
    const env = new Map(
      (await run("env")).split("\n").map((
        line,
      ) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
    const expected = {
      WORKSPACE_USER: "a",
      WORKSPACE_UID: "21001",
      WORKSPACE_GID: "21002",
      WORKSPACE_KIND: "research",
      HOME: "/home/a",
      HTTPS_PROXY: `http://${PROXY}:3128`,
      no_proxy: "localhost,127.0.0.1,::1",
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(env.get(name), value, name);
    assert.ok(
      ![...env.keys()].some((name) => /_SERVICE_(HOST|PORT)$/.test(name) && !name.startsWith("KUBERNETES")),
      "no service links",
    );
    assert.match(await run("id"), /uid=21001\(a\) gid=21002\(a\) groups=.*30100\(permit\)/);
    assert.equal(await run("cat", "/run/wps/password"), "password-1");
    assert.match(await run("stat", "-L", "-c", "%a %u %g", "/run/wps/password"), /^440 0 30100/);
    assert.equal((await run("cat", "/etc/resolv.conf")).trim(), "nameserver 127.0.0.1");
    const refusal = await run(
      "sh",
      "-c",
      "touch /root-is-writable 2>&1; touch /tmp/a /run/b /home/a/c && echo written",
    );
    assert.match(refusal, /Read-only file system/);
    assert.match(refusal, /written/);
    const status = await run("cat", "/proc/self/status");
    assert.match(status, /CapEff:\s+0+\n/);
    assert.match(status, /NoNewPrivs:\s+1/);
    assert.match(status, /Seccomp:\s+2/);
    const token = await run("sh", "-c", "ls /var/run/secrets 2>&1 || true");
    assert.match(token, /No such file/, "no service account token");
  });
});

Deno.test("ensure-identity: a new password reaches the pod that starts next", { ignore }, async () => {
  await withPermit("password", async (permit, api) => {
    await permit.scope();
    const research = workspace("research/a");
    await permit.start(research);
    await permit.stop(research.key);
    await permit.start(research);
    assert.equal(await inside(api, permit, research.key, "cat", "/run/wps/password"), "password-2");
  });
});

Deno.test("airlock: its holder reaches it by the endpoint that is told, and nobody else does", {
  ignore: ignoreElsewhere,
}, async () => {
  await withPermit("airlock", async (permit) => {
    await permit.scope();
    await permit.volume(volume("uploads/a"));
    const mounts = [mount("uploads/a", "wo", "/uploads/a")];
    const elsewhere = workspace("airlock/a", { mounts, allowedCidrs: ["198.51.100.7/32"] });
    const { endpoint } = await permit.start(elsewhere);
    assert.deepEqual([endpoint?.protocol, endpoint?.host], ["sftp", NET.node]);
    const reaches = (): Promise<boolean> => opens(endpoint?.host ?? "", endpoint?.port ?? 0);
    await permit.open(elsewhere);
    assert.equal(await reaches(), false, "another address");
    const { uid } = (await permit.workspace("airlock/a")).instances[0] ?? assert.fail();
    await permit.open({ ...elsewhere, allowedCidrs: [HOST_CIDR] });
    await until("its own address", reaches);
    await permit.apply({ kind: "cut-network", workspace: await permit.workspace("airlock/a") });
    await until("cut", async () => !await reaches());
    assert.equal((await permit.workspace("airlock/a")).instances[0]?.uid, uid, "nobody was restarted");
  });
});

Deno.test("observe: a pod of somebody else's that mounts a volume is foreign", { ignore }, async () => {
  await withPermit("thief", async (permit, api) => {
    await permit.scope();
    const { name } = await permit.volume(volume("raw"));
    await api.create("pods", permit.namespace, {
      metadata: { name: "thief" },
      spec: {
        securityContext: { runAsNonRoot: true, runAsUser: 1, seccompProfile: { type: "RuntimeDefault" } },
        containers: [{
          name: "a",
          image: api.cluster.images.box,
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          volumeMounts: [{ name: "raw", mountPath: "/raw" }],
        }],
        volumes: [{ name: "raw", persistentVolumeClaim: { claimName: name } }],
      },
    });
    const { foreign } = await permit.observe();
    assert.deepEqual(foreign, [{ object: `Pod ${permit.namespace}/thief`, why: "it mounts raw" }]);
    await api.remove("pods", { namespace: permit.namespace, name: "thief" });
  });
});

Deno.test("ensure-scope: Pod Security refuses what would not be confined", { ignore }, async () => {
  await withPermit("security", async (permit, api) => {
    await permit.scope();
    const pod = {
      metadata: { name: "root" },
      spec: { hostNetwork: true, containers: [{ name: "a", image: "a:1" }] },
    };
    await assert.rejects(
      api.create("pods", permit.namespace, pod),
      /violates PodSecurity \\?"restricted:v1\.\d+/,
    );
  });
});

Deno.test("singleNode: a permit's pods share a node and a ReadWriteOnce volume", { ignore }, async () => {
  await withPermit("single", async (permit, api) => {
    await permit.scope();
    await permit.volume(volume("project"));
    const mounts = [mount("project", "rw")];
    await permit.start(workspace("research/a", { mounts }));
    await permit.start(workspace("research/b", { mounts }));
    const [claim] = await api.list("persistentvolumeclaims", permit.namespace);
    assert.deepEqual(claim?.spec?.accessModes, ["ReadWriteOnce"]);
    const nodes = (await permit.observe()).workspaces.map(({ instances }) => instances[0]?.node);
    assert.equal(new Set(nodes).size, 1);
  }, { singleNode: true });
});

Deno.test(
  "check: every line of a fit cluster is ok, or says what only packets can show",
  { ignore },
  async () => {
    const cluster = await startCluster();
    const site = testSite(cluster, { namespace: "nowhere", proxy: PROXY });
    const driver = testDriver(site);
    try {
      const lines = await driver.check(new AbortController().signal);
      const results = Object.fromEntries(lines.map(({ check, result }) => [check, result]));
      assert.deepEqual(lines.filter(({ result }) => result === "failed"), []);
      for (const check of ["cluster", "account", "permissions", "storage classes", "addresses"]) {
        assert
          .equal(results[check], "ok", check);
      }
      const inService = testDriver({ ...site, gateway: { cidr: "10.96.0.10/32" } });
      const refused = await inService.check(new AbortController().signal);
      await inService.close();
      assert.equal(
        refused.find(({ check }) => check === "addresses")?.result,
        "failed",
        "a ClusterIP is refused as cidr",
      );
      const missing = testDriver({
        ...site,
        settings: { ...site.settings, storageClasses: { default: "no-such-class" } },
      });
      const unfit = await missing.check(new AbortController().signal);
      await missing.close();
      assert.equal(unfit.find(({ check }) => check === "storage classes")?.result, "failed");
    } finally {
      await driver.close();
      await cluster.stop();
    }
  },
);

Deno.test(
  "Transport: a client certificate is who it says, as a token is",
  { ignore: ignoreElsewhere },
  async () => {
    const cluster = await startCluster();
    const site = testSite(cluster, { namespace: "nowhere", proxy: null });
    const kubeconfig = cluster.certificateKubeconfigPath ?? assert.fail("no certificate");
    const driver = testDriver({ ...site, settings: { ...site.settings, kubeconfig } });
    try {
      const account = (await driver.check(new AbortController().signal)).find(({ check }) =>
        check === "account"
      );
      assert.equal(account?.detail, "admin-certificate");
    } finally {
      await driver.close();
      await cluster.stop();
    }
  },
);
