/**
 * Many permits at once, and nodes and pods that fail, on a real API server whose nodes are kwok's: judged by what
 * the API server says and by its audit log, never by WPS's database.
 */
import assert from "node:assert/strict";
import { requireOrReport } from "../cluster/harness.ts";
import { until } from "../services/until.ts";
import { type PermitView, viewOf } from "./end_to_end/cluster_view.ts";
import { judgeHistory } from "./end_to_end/invariants.ts";
import {
  type LoadStage,
  MemoryWatch,
  namespacesAtOnce,
  PARALLEL_PERMITS,
  reachable,
  requestsFor,
  SITE_RULES,
  startLoadStage,
  STUCK,
} from "./end_to_end/load.ts";
import { isReady, type KubeObject, MARK, markOf } from "./end_to_end/objects.ts";

const isSites = Deno.env.has("WPS_TEST_KUBECONFIG"); // a site's cluster has no kwok
const ignore = isSites || !(await requireOrReport("cluster") && await requireOrReport("rabbitmq"));

/** The parts under test live longer than a step; the test around the steps has the leak checks. */
const PHASE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
/** What two cores bring up well within a minute, broker, cluster, service and judge on them. */
const PERMITS = 60;
const LOAD_MS = 90_000;
/** A silent node is seen after 50 s; what ran on a removed one is collected a minute after. */
const NODE_MS = 120_000;
const GONE_MS = 180_000;
/** The aim for a service with a hundred permits is 200 MiB. */
const MEMORY_MAX_MIB = 200;
const FIRST_UID = 21_000;
/** Permits whose pods lose their node. */
const MOVING = 5;

/** What one permit with one researcher in setup is made of, by kind; roles and accounts are its namespace's own. */
const OBJECTS = {
  statefulsets: 1,
  pods: 1,
  services: 1,
  secrets: 1,
  persistentvolumeclaims: 2,
  persistentvolumes: 2,
  resourcequotas: 1,
  limitranges: 1,
};

Deno.test(
  { name: "load: 60 permits at once, a silent node, pods that fail, a removed node", ignore },
  async (t) => {
    const stage = await startLoadStage();
    const run = crypto.randomUUID().slice(0, 8);
    const many = (what: string, count: number): string[] =>
      Array.from({ length: count }, (_, i) => `${what} ${run} ${i}`);
    const ids = many("load", PERMITS), moving = many("moving", MOVING);
    const silent = `silent ${run}`, stuck = `stuck ${run}`;
    const all = [...ids, ...moving, silent, stuck];
    const deletedAt = new Map<string, number>();
    const step = (name: string, fn: () => Promise<void> | void): Promise<boolean> =>
      t.step({ name, fn, ...PHASE });
    try {
      let ghost: KubeObject | undefined;
      await step("pods run on a node that falls silent, and on one that will be removed", async () => {
        await stage.setUp(silent, "alone", FIRST_UID);
        ghost = await until(`${silent} runs`, () => reachable(stage.history).get(silent));
        await stage.frail.schedulable(false);
        await stage.frail.die();
        await stage.leaving.schedulable(true);
        for (const [i, id] of moving.entries()) await stage.setUp(id, `m${i}`, FIRST_UID + i);
        await allRun(stage, moving);
        await stage.leaving.schedulable(false);
        await stage.staying.schedulable(true);
      });
      await step("60 permits become what was accepted, once each and side by side", async () => {
        await stage.setUp(stuck, STUCK, FIRST_UID);
        await bringUp(stage, ids);
      });
      await step(
        "a pod that never becomes ready is waited for by name, then taken back",
        () => endsStuck(stage, stuck),
      );
      await step("the pod of a silent node counts as running: nothing ends it by force", async () => {
        await stopsUnreachable(stage, silent, ghost ?? assert.fail("no pod ran"));
      });
      await step(
        "what failed or lost its node comes back and is let in anew; what waited for a node ends",
        async () => {
          const evicted = ids[0] ?? "";
          await Promise.all([comeBack(stage, evicted, moving), endsWithNode(stage, silent)]);
        },
      );
      await step("deletion leaves nothing", () => deleteAll(stage, all, deletedAt));
      await step("no instant broke an invariant", () => {
        const permits = new Map(all.map((id) => [id, { deletedAtMs: deletedAt.get(id) ?? null }]));
        const { violations, withWayOut } = judgeHistory(stage.history.ordered(), permits, SITE_RULES);
        assert.deepEqual(violations, []);
        assert.ok(withWayOut > PERMITS, `${withWayOut} instants with a way out`);
      });
    } finally {
      await stage.close();
    }
  },
);

async function allRun({ history }: LoadStage, ids: string[]): Promise<void> {
  await until(`${ids.length} permits run`, () => {
    const running = reachable(history);
    return ids.every((id) => running.has(id));
  }, LOAD_MS);
}

async function bringUp(stage: LoadStage, ids: string[]): Promise<void> {
  const { cluster, service, history } = stage;
  const from = cluster.readAudit().next;
  const idleMib = service.rssMib();
  const memory = new MemoryWatch(service);
  const beginMs = Date.now();
  await Promise.all(ids.map((id, i) => stage.setUp(id, `r${i}`, FIRST_UID + i)));
  await allRun(stage, ids);
  const seconds = (Date.now() - beginMs) / 1000;
  const peakMib = memory.stop();
  const spaces = new Set<string>();
  for (const [i, id] of ids.entries()) {
    const view = viewOf(history, id);
    spaces.add(view.namespace ?? "");
    judgeOne(view, id, `r${i}`, FIRST_UID + i);
  }
  const requests = requestsFor(cluster.readAudit(from).entries, spaces);
  const refused = requests.filter(({ responseStatus }) => responseStatus?.code === 429);
  const atOnce = namespacesAtOnce(requests);
  console.log(
    `${ids.length} permits run after ${
      seconds.toFixed(1)
    } s: ${requests.length} requests, ${refused.length} told to ` +
      `come later, at most ${atOnce} permits written to at once; ${idleMib.toFixed(0)} MiB before, ${
        peakMib.toFixed(0)
      } at most`,
  );
  assert.equal(refused.length, 0, "the API server told nobody to come later");
  assert.ok(atOnce <= PARALLEL_PERMITS, `${atOnce} permits were written to at once`);
  assert.ok(atOnce > 1, "permits were written to side by side");
  assert.ok(peakMib < MEMORY_MAX_MIB, `${peakMib} MiB`);
}

/** The permit as it was accepted: this person's workspace, and everything that belongs to it once. */
function judgeOne(view: PermitView, permitId: string, username: string, uid: number): void {
  // Every namespace is given what others use for themselves.
  const own = (objects: KubeObject[]): KubeObject[] =>
    objects.filter((object) =>
      markOf(object, MARK.managedBy) === "wps" || object.spec?.claimRef !== undefined
    );
  const counts = Object.fromEntries(
    Object.keys(OBJECTS).map((kind) => [kind, own(view[kind as keyof typeof OBJECTS]).length]), // its own keys
  );
  assert.deepEqual(counts, OBJECTS, permitId);
  const [pod] = view.pods;
  assert.ok(pod !== undefined && isReady(pod), permitId);
  assert.equal(markOf(pod, MARK.username), username, permitId);
  assert.equal(pod.spec.securityContext.runAsUser, uid, permitId);
  for (const claim of view.persistentvolumeclaims) assert.equal(claim.status.phase, "Bound", permitId);
}

/** The job that the service says it has for a permit. */
async function jobOf({ service }: LoadStage, permitId: string): Promise<Record<string, unknown>> {
  const { body } = await service.get(`/api/v1/jobs?permitId=${encodeURIComponent(permitId)}&limit=1`);
  return (body as { items: Record<string, unknown>[] }).items[0] ?? {}; // the API's own tests pin its shape
}

async function endsStuck(stage: LoadStage, permitId: string): Promise<void> {
  const job = await until(`the job of ${permitId} fails`, async () => {
    const found = await jobOf(stage, permitId);
    return found["state"] === "failed" && found;
  });
  assert.match(JSON.stringify(job), /Waited too long: pod research-stuck-[0-9a-f]+-0 /);
  const view = viewOf(stage.history, permitId);
  assert.deepEqual(view.pods.map(({ metadata }) => metadata.name), [], "half-made compute is taken back");
  assert.equal(view.statefulsets.filter(({ spec }) => spec.replicas > 0).length, 0);
  assert.deepEqual(
    view.persistentvolumeclaims.map(({ status }) => status.phase),
    ["Bound", "Bound"],
    "volumes stay",
  );
  assert.deepEqual(opening(view), [], "its network stays shut");
}

/** Names of policies that let anything through. */
function opening({ networkpolicies }: PermitView): string[] {
  return networkpolicies.filter(({ spec }) => (spec.ingress ?? spec.egress) !== undefined)
    .map(({ metadata }) => metadata.name);
}

async function stopsUnreachable(stage: LoadStage, permitId: string, ghost: KubeObject): Promise<void> {
  const { cluster, history, manager, frail } = stage;
  await until(`${frail.names} is seen to be silent`, async () => {
    const args = [
      "get",
      "node",
      ...frail.names,
      "-o",
      'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
    ];
    return await cluster.kubectl(args) === "Unknown";
  }, NODE_MS);
  const from = cluster.readAudit().next;
  await manager.publish({ type: "permit.status.updated", permitId, body: { status: "ARCHIVED" } });
  const { name } = ghost.metadata;
  const words = await until(`the service waits for ${name}`, async () => {
    const { state, waitingFor } = await jobOf(stage, permitId);
    return state === "running" && typeof waitingFor === "string" && waitingFor.includes(name) && waitingFor;
  });
  console.log(`the service says: ${words}`);
  assert.match(words, new RegExp(`${name}.*(node|answer)`, "i"), "it says where, for who must act");
  const view = viewOf(history, permitId);
  const [pod] = view.pods;
  assert.equal(pod?.metadata.uid, ghost.metadata.uid, "the pod is still there");
  assert.ok(pod?.metadata.deletionTimestamp !== undefined, "it was asked to end");
  assert.notEqual(pod.metadata["deletionGracePeriodSeconds" as "name"], 0, "and not by force");
  assert.deepEqual(opening(view), [], "its network was shut first");
  assert.equal(view.persistentvolumeclaims.length, 2, "its volumes stay");
  const forced = requestsFor(cluster.readAudit(from).entries, new Set([view.namespace ?? ""]))
    .filter(({ verb, objectRef }) => verb.startsWith("delete") && objectRef?.resource === "pods");
  assert.deepEqual(forced, [], "WPS itself ends no pod: the StatefulSet's controller does");
}

/** One node goes with all pods on it; on the other, one pod is evicted. Nobody else's pod is touched. */
async function comeBack(stage: LoadStage, evicted: string, moving: string[]): Promise<void> {
  const { cluster, history, leaving, staying } = stage;
  const before = reachable(history);
  const { namespace = "", name } = (before.get(evicted) ?? assert.fail("no pod to evict")).metadata;
  for (const id of moving) assert.deepEqual([before.get(id)?.spec.nodeName], leaving.names, id);
  const status = JSON.stringify({ status: { phase: "Failed", reason: "Evicted", message: "no room" } });
  await cluster.kubectl([
    "patch",
    "pod",
    "-n",
    namespace,
    name,
    "--subresource=status",
    "--type=merge",
    "-p",
    status,
  ]);
  await leaving.remove();
  await until("all pods are there again", () => {
    const now = reachable(history);
    return [evicted, ...moving].every((id) => {
      const pod = now.get(id);
      return pod !== undefined && pod.metadata.uid !== before.get(id)?.metadata.uid &&
        staying.names.includes(pod.spec.nodeName);
    });
  }, NODE_MS);
  const now = reachable(history);
  for (const [id, { metadata }] of before) {
    if (id === evicted || moving.includes(id)) continue;
    assert.equal(now.get(id)?.metadata.uid, metadata.uid, `${id}: only what was lost is new`);
  }
}

async function endsWithNode(stage: LoadStage, permitId: string): Promise<void> {
  const { history, frail } = stage;
  assert.equal(viewOf(history, permitId).pods.length, 1, "it was waited for all the time");
  await frail.remove();
  await until(`${permitId} has no compute`, () => {
    const { pods, statefulsets } = viewOf(history, permitId);
    return pods.length + statefulsets.length === 0;
  }, NODE_MS);
  assert.equal(viewOf(history, permitId).persistentvolumeclaims.length, 2, "volumes outlive it");
  await until("its job succeeds", async () => (await jobOf(stage, permitId))["state"] === "succeeded");
}

async function deleteAll(stage: LoadStage, ids: string[], deletedAt: Map<string, number>): Promise<void> {
  const { history, manager } = stage;
  const views = ids.map((permitId) => viewOf(history, permitId));
  const spaces = new Set(views.map(({ namespace }) => namespace));
  for (const permitId of ids) deletedAt.set(permitId, Date.now());
  const beginMs = Date.now();
  await manager.publish(...ids.map((permitId) => ({ type: "permit.deleted", permitId })));
  await until("nothing is left", () => {
    const volumes = history.list("persistentvolumes").filter(({ spec }) =>
      spaces.has(spec.claimRef?.namespace)
    );
    return volumes.length === 0 &&
      !history.list("namespaces").some(({ metadata }) => spaces.has(metadata.name));
  }, GONE_MS);
  console.log(`${ids.length} permits are gone after ${((Date.now() - beginMs) / 1000).toFixed(1)} s`);
}
