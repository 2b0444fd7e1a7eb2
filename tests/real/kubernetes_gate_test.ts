/** The isolation gate by packets (DESIGN 8): a cluster that enforces policies, late or never, and a breach while running. */
import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { areCanariesConfirmed, areCanariesFresh, canariesInWay } from "../../src/core/isolation.ts";
import type { Instance, ObservedTask } from "../../src/core/observed.ts";
import type { DesiredWorkspace } from "../../src/core/workspace.ts";
import { taskName, workspaceName } from "../../src/core/names.ts";
import { NOTE } from "../../src/drivers/kubernetes/marks.ts";
import type { KubernetesDriver } from "../../src/drivers/kubernetes/driver.ts";
import type { KubernetesSite } from "../../src/drivers/kubernetes/settings.ts";
import type { Stored } from "../../src/drivers/kubernetes/wire.ts";
import { type Cluster, requireOrReport, startCluster } from "../cluster/harness.ts";
import { consolidation, MEMBER_ID, mount, volume, workspace } from "../conformance/fixtures.ts";
import { until } from "../services/until.ts";
import { Api } from "./kubernetes/api.ts";
import { sweep } from "./kubernetes/backend.ts";
import { RealOutside } from "./kubernetes/outside.ts";
import { Permit } from "./kubernetes/permit.ts";
import { testDriver, testSite } from "./kubernetes/site.ts";
import { type RunningWorld, startWorld } from "./kubernetes/world.ts";

const ignore = !(await requireOrReport("cluster"));
/** Rules above NetworkPolicy are Calico's own, as tests/cluster has it. */
const ignoreElsewhere = ignore || Deno.env.has("WPS_TEST_KUBECONFIG");
const RULE = "default.let-everything-through";
/** A gate gives up after 60 s, and its image and node take some, too. */
const GIVE_UP_MS = 100_000;
const RESEARCH: DesiredWorkspace = workspace("research/j.virtanen", {
  sensitive: true,
  mounts: [mount("prepared", "rw")],
});

/** What a test here works with. */
interface Stage {
  cluster: Cluster;
  api: Api;
  driver: KubernetesDriver;
  permit: Permit;
  world: RunningWorld;
  site: KubernetesSite;
}

/** A permit with a sensitive volume on a site whose canaries are two pods of the world. */
async function onStage(
  label: string,
  run: (stage: Stage) => Promise<void>,
  given: (site: KubernetesSite) => Partial<KubernetesSite> = () => ({}),
): Promise<void> {
  const cluster = await startCluster();
  const api = new Api(cluster);
  const world = await startWorld(cluster);
  const canaries = [
    { host: world.addresses["internet"] ?? "", port: 443 },
    { host: world.proxy, port: 3128 },
  ];
  const usual = testSite(cluster, world, { canaries });
  const site = { ...usual, ...given(usual) };
  const driver = testDriver(site);
  const permit = new Permit(driver, label);
  try {
    await permit.scope();
    await permit.volume(volume("prepared", { sensitive: true }));
    await run({ cluster, api, driver, permit, world, site });
    assert.deepEqual(await probesIn(api, permit.namespace), [], "no stray pod is left");
  } finally {
    await driver.close();
    await sweep(api, permit.permitId);
    await world.close();
    await cluster.stop();
  }
}

async function probesIn(api: Api, namespace: string): Promise<string[]> {
  const pods = await api.list("pods", namespace);
  return pods.filter(({ metadata }) =>
    metadata.name.startsWith("probe-") && metadata.deletionTimestamp === undefined
  ).map(({ metadata }) => metadata.name);
}

/** Asks the canaries, and writes identity and compute without waiting for the pod. */
async function begin(permit: Permit): Promise<void> {
  await permit.canaries([], areCanariesFresh);
  await permit.apply({ kind: "ensure-identity", workspace: RESEARCH, rotate: true });
  await permit.apply({ kind: "start", workspace: RESEARCH, seen: null });
}

async function instanceThat(
  permit: Permit,
  what: string,
  holds: (instance: Instance) => boolean,
): Promise<Instance> {
  return await until(what, async () => {
    const [instance] = (await permit.workspace(RESEARCH.key)).instances;
    return instance !== undefined && holds(instance) && instance;
  }, GIVE_UP_MS);
}

/** Everything passes in this namespace, whatever its NetworkPolicies say: as on a cluster that does not enforce them. */
async function letThrough(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.apply({
    apiVersion: "crd.projectcalico.org/v1",
    kind: "NetworkPolicy",
    metadata: { name: RULE, namespace },
    spec: {
      order: 1,
      selector: "all()",
      types: ["Ingress", "Egress"],
      ingress: [{ action: "Allow" }],
      egress: [{ action: "Allow" }],
    },
  });
}

async function enforce(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.kubectl(["delete", "networkpolicies.crd.projectcalico.org", RULE, "-n", namespace]);
}

async function podOf({ api, permit }: Stage): Promise<Stored<"pods">> {
  return await api.need("pods", { namespace: permit.namespace, name: `${workspaceName(RESEARCH.key)}-0` });
}

/** Whether anything of the workspace itself has ever run: kubelet gives a container its id when it creates it. */
function hasRun(pod: Stored<"pods">): boolean {
  const [status] = pod.status?.containerStatuses ?? [];
  return status?.containerID !== undefined || (status?.restartCount ?? 0) > 0;
}

/** A driver that never asked before the start: what the control said then is on the pod. */
async function provesAfterRestart(
  { permit: { permitId, context }, site }: Stage,
  uid: string,
): Promise<void> {
  const driver = testDriver(site);
  try {
    await driver.apply({ kind: "ask-canaries", after: [uid] }, context);
    await until(
      "the canaries answer",
      async () => areCanariesConfirmed(await driver.observe(permitId, context.signal), uid),
    );
    const action = { kind: "prove-isolation", workspace: RESEARCH, instanceUid: uid } as const;
    const { evidence } = await driver.apply(action, context);
    assert.equal(evidence?.method, "gate");
    assert.ok((evidence?.control.before?.alive.length ?? 0) >= 2);
  } finally {
    await driver.close();
  }
}

/** As if the pod had come by itself long after its workspace was started: what the control said then is of no use. */
async function provesByProbe({ api, permit }: Stage, uid: string): Promise<void> {
  const place = { namespace: permit.namespace, name: `${workspaceName(RESEARCH.key)}-0` };
  const long = { at: new Date(Date.now() - 3_600_000).toISOString(), alive: [], silent: [] };
  await api.merge("pods", place, { metadata: { annotations: { [NOTE.canaries]: JSON.stringify(long) } } });
  const evidence = await permit.prove(RESEARCH, uid);
  assert.deepEqual([evidence.method, evidence.pod.uid], ["probe", uid]);
}

Deno.test(
  "isolation gate: a workspace near data starts behind it, and its proof names what it could not reach",
  {
    ignore,
  },
  async () => {
    await onStage("gate", async (stage) => {
      const { permit, world } = stage;
      const begun = performance.now();
      await begin(permit);
      const asked = performance.now();
      const { uid } = await instanceThat(permit, "it is ready", ({ ready }) => ready);
      const ready = performance.now();
      const evidence = await permit.prove(RESEARCH, uid);
      const seconds = (from: number, to: number): string => ((to - from) / 1000).toFixed(1);
      console.log(
        `control ${seconds(begun, asked)} s, gate and start ${seconds(asked, ready)} s, control and proof ${
          seconds(ready, performance.now())
        } s, gate alone ${(Date.parse(evidence.endedAt) - Date.parse(evidence.begunAt)) / 1000} s, evidence ${
          JSON.stringify(evidence).length
        } bytes`,
      );
      console.log(JSON.stringify(evidence));
      assert.deepEqual([evidence.method, evidence.pod.uid], ["gate", uid]);
      for (const target of [`tcp ${world.addresses["internet"]}:443`, `tcp ${world.proxy}:3128`]) {
        assert.equal(evidence.targets.find((tried) => tried.target === target)?.outcome, "timed out", target);
        assert.ok(evidence.control.before?.alive.includes(target), `${target} was alive before`);
        assert.ok(evidence.control.after?.alive.includes(target), `${target} was alive after`);
      }
      assert.ok(evidence.cleanRounds >= 3 && evidence.policies.count >= 1);
      const { mounts } = (await podOf(stage)).spec?.initContainers?.map(({ volumeMounts = [] }) => ({
        mounts: volumeMounts.length,
      }))[0] ?? assert.fail("no gate");
      assert.equal(mounts, 0, "the gate sees no volume");
      await provesAfterRestart(stage, uid);
      await provesByProbe(stage, uid);
    });
  },
);

Deno.test(
  "isolation gate: a cluster that ignores NetworkPolicy never gets the workspace running, until it heeds them",
  {
    ignore: ignoreElsewhere,
  },
  async () => {
    await onStage("unenforced", async (stage) => {
      const { cluster, permit } = stage;
      await letThrough(cluster, permit.namespace);
      await begin(permit);
      const instance = await instanceThat(
        permit,
        "its trouble is known",
        ({ trouble }) => trouble === "isolation-unproven",
      );
      assert.match(instance.reason ?? "", /^gate reached tcp .* after \d+ s$/);
      assert.equal(instance.ready, false);
      assert.equal(hasRun(await podOf(stage)), false, "nothing of the workspace has run");
      const { network } = await permit.workspace(RESEARCH.key);
      assert.equal(network.state, "shut", "by its policies alone it looks isolated");
      await enforce(cluster, permit.namespace);
      const healed = await instanceThat(permit, "it is ready", ({ ready }) => ready);
      assert.equal(healed.uid, instance.uid);
      assert.equal((await permit.prove(RESEARCH, healed.uid)).method, "gate");
    });
  },
);

Deno.test(
  "isolation gate: a policy that is enforced late is waited for",
  { ignore: ignoreElsewhere },
  async () => {
    await onStage("late", async (stage) => {
      const { cluster, permit } = stage;
      await letThrough(cluster, permit.namespace);
      await begin(permit);
      await instanceThat(permit, "the gate runs", ({ reason }) => reason === "gate: round in progress");
      assert.equal(hasRun(await podOf(stage)), false);
      await new Promise((resolve) => setTimeout(resolve, 4_000)); // some rounds: packets cannot be waited for otherwise
      await enforce(cluster, permit.namespace);
      const { uid } = await instanceThat(permit, "it is ready", ({ ready }) => ready);
      const { rounds, cleanRounds } = await permit.prove(RESEARCH, uid);
      assert.ok(rounds > cleanRounds, `${rounds} rounds, ${cleanRounds} of them clean`);
    });
  },
);

const WORK = consolidation("hospital-a");

async function taskThat(
  permit: Permit,
  what: string,
  holds: (task: ObservedTask) => boolean,
): Promise<ObservedTask> {
  return await until(what, async () => {
    const task = (await permit.observe()).tasks.find(({ key }) => key === WORK.fromKey);
    return task !== undefined && holds(task) && task;
  }, GIVE_UP_MS);
}

Deno.test(
  "isolation gate: a cluster that ignores NetworkPolicy never gets uploads copied, until it heeds them",
  { ignore: ignoreElsewhere },
  async () => {
    await onStage("uploads", async ({ cluster, api, permit, world }) => {
      const { permitId, namespace } = permit;
      const outside = new RealOutside(api, world);
      const owner = { uid: MEMBER_ID, gid: MEMBER_ID, mode: 0o640 };
      for (const key of [WORK.fromKey, "raw"]) await permit.volume(volume(key, { sensitive: true }));
      await outside.writeFile(permitId, WORK.fromKey, "cohort.csv", "1", owner);
      await letThrough(cluster, namespace);
      await permit.apply({ kind: "consolidate", consolidation: WORK, task: null });
      const { state, trouble, message } = await taskThat(
        permit,
        "its trouble is known",
        ({ trouble }) => trouble !== null,
      );
      assert.deepEqual([state, trouble?.reason, trouble?.text], ["running", "isolation-unproven", message]);
      assert.match(message ?? "", /^gate reached tcp .* after \d+ s$/);
      const begun = performance.now();
      const pods = await until("another pod comes", async () => {
        const found = await api.list("pods", namespace);
        return found.length > 1 && found;
      });
      console.log(`another pod after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
      assert.deepEqual(pods.filter(hasRun), [], "nothing of the consolidation has run");
      const { status } = await api.need("jobs", { namespace, name: taskName(WORK.fromKey) });
      assert.equal(status?.failed ?? 0, 0, "however often a gate fails, it is none of the Job's tries");
      assert.deepEqual(await outside.listFiles(permitId, "raw"), []);
      await enforce(cluster, namespace);
      const healed = await taskThat(permit, "it is consolidated", ({ state }) => state !== "running");
      assert.deepEqual([healed.state, healed.trouble], ["succeeded", null], healed.message ?? "");
      const { method, targets, control } = healed.proof ?? assert.fail("no evidence of its gate");
      assert.deepEqual([method, control.after], ["task", null]);
      const alive = targets.filter(({ target }) => control.before?.alive.includes(target));
      assert.ok(
        alive.length >= 2 && alive.every(({ outcome }) => outcome !== "reached"),
        JSON.stringify(targets),
      );
      const copy = await outside.readFile(permitId, "raw", `${WORK.folder}/cohort.csv`);
      assert.equal(copy?.text, "1");
      assert.deepEqual(await outside.readFile(permitId, WORK.fromKey, "cohort.csv"), { text: "1", ...owner });
    });
  },
);

Deno.test("canaries: too few of them alive, and nothing near data is started", { ignore }, async () => {
  const canaryNamespace = `wps-canaries-${crypto.randomUUID().slice(0, 8)}`;
  await onStage("silent", async ({ api, driver, permit }) => {
    try {
      await permit.canaries([], areCanariesFresh);
      await api.create("networkpolicies", canaryNamespace, {
        metadata: { name: "cut" },
        spec: { podSelector: {}, policyTypes: ["Egress"] },
      });
      const seen = await permit.canaries([], ({ canaries }) => canaries.answer?.alive.length === 0);
      assert.match(canariesInWay(seen) ?? "", /^0 of \d+ canaries answer the control pod.*443/);
      await assert.rejects(
        permit.apply({ kind: "start", workspace: RESEARCH, seen: null }),
        (thrown) =>
          thrown instanceof Fault && thrown.disposition === "wait" && thrown.reason === "canaries-silent",
      );
      await assert.rejects(
        driver.apply({ kind: "consolidate", consolidation: WORK, task: null }, permit.context),
        (thrown) =>
          thrown instanceof Fault && thrown.disposition === "wait" && thrown.reason === "canaries-silent",
      );
      assert.deepEqual(await api.list("jobs", permit.namespace), []);
    } finally {
      await api.remove("namespaces", { name: canaryNamespace });
    }
  }, (site) => ({ settings: { ...site.settings, canaryNamespace } }));
});

Deno.test("probe: a running workspace is shown to be isolated and left alone; a way out is named", {
  ignore: ignoreElsewhere,
}, async () => {
  await onStage("probe", async (stage) => {
    const { cluster, api, driver, permit, world } = stage;
    await begin(permit);
    const { uid } = await instanceThat(permit, "it is ready", ({ ready }) => ready);
    await permit.prove(RESEARCH, uid);
    await permit.open(RESEARCH);
    const service = { namespace: permit.namespace, name: workspaceName(RESEARCH.key) };
    const endpoints = async (): Promise<unknown> =>
      JSON.parse(
        await cluster.kubectl([
          "get",
          "endpointslices",
          "-n",
          service.namespace,
          "-l",
          `kubernetes.io/service-name=${service.name}`,
          "-o",
          "json",
        ]),
      ).items.map((slice: { endpoints: unknown }) => slice.endpoints);
    const before = await endpoints();
    const target = { workspaceKey: RESEARCH.key, instanceUid: uid };
    const begun = performance.now();
    const healthy = await driver.probe(target, permit.context);
    console.log(`probe ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    assert.equal(healthy.found, "isolated", JSON.stringify(healthy));
    assert.deepEqual(await endpoints(), before, "its Service leads to the workspace alone");
    assert.equal((await podOf(stage)).metadata.uid, uid);
    assert.deepEqual((await permit.observe()).foreign, []);
    await letThrough(cluster, permit.namespace);
    const breached = await until("the probe gets out", async () => {
      const found = await driver.probe(target, permit.context);
      return found.found === "breached" && found;
    }, 180_000); // it tries for a minute, as a gate does
    assert.ok(breached.reached.includes(`tcp ${world.addresses["internet"]}:443`), `${breached.reached}`);
    assert.equal(breached.evidence.method, "probe");
    assert.equal((await podOf(stage)).metadata.uid, uid, "what to do about it is the runner's");
    assert.deepEqual(await probesIn(api, permit.namespace), []);
  });
});
