/**
 * End to end on real parts: an independent AMQP client publishes the blueprint's minimal messages to a real
 * RabbitMQ; the service, as its own process, provisions a real Kubernetes node; each phase of DESIGN 4 is judged
 * from inside the pods, by packets and by the API server, never by what the service says of itself.
 */
import assert from "node:assert/strict";
import { requireOrReport } from "../cluster/harness.ts";
import { until } from "../services/until.ts";
import { readView } from "./end_to_end/cluster_view.ts";
import { type HeldConnection, holdToProxy } from "./end_to_end/connections.ts";
import {
  airlocks,
  preparationReview,
  preprocessing,
  researchAnalysis,
  researchSetup,
  setupReview,
} from "./end_to_end/expected.ts";
import { readFile, writeFile } from "./end_to_end/inside.ts";
import { claimUids, type Judged } from "./end_to_end/judge.ts";
import { assertInvariants, Life } from "./end_to_end/life.ts";
import { MARK, markOf } from "./end_to_end/objects.ts";
import { assertAlive, judgeProxy } from "./end_to_end/reachability.ts";
import { HOLDERS, PEOPLE, RESEARCHERS } from "./end_to_end/site.ts";
import { startStage } from "./end_to_end/stage.ts";
import { entriesOf, grantedRules, refusals, usedRules } from "./kubernetes/account.ts";
import { FIRST_BATCH, judgeBatch, upload } from "./end_to_end/uploads.ts";

const ignore = !(await requireOrReport("cluster") && await requireOrReport("rabbitmq"));

/** An undisturbed life asks for the others' sake alone: the account's own test and the fault tests use these rules. */
const NOT_CALLED_FOR: Readonly<Record<string, string>> = {
  "apps/statefulsets update": "undoes what somebody else put into a workspace's template",
};
/** What an undisturbed life asks for at times: when a write's answer got lost, or when something takes long. */
const AT_TIMES: Readonly<Record<string, string>> = {
  "/resourcequotas get": "a guard is written that stands already",
  "/limitranges get": "a guard is written that stands already",
  "rbac.authorization.k8s.io/rolebindings get": "a guard is written that stands already",
  "/events list": "a pod or claim is pending for more than two seconds",
};

/** The parts under test live longer than a step; the test around the steps has the leak checks. */
const PHASE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
Deno.test({
  name: "a permit's whole life, from AWAITING_INGRESS to permit.deleted, each phase judged from inside",
  ignore,
  fn: async (t) => {
    const stage = await startStage();
    try {
      const life = new Life(stage, "lifecycle");
      const began = Date.now();
      const phase: PhaseStep = async (name, fn) => {
        if (!await t.step({ name, fn, ...PHASE })) throw new Error(`What follows needs ${name}`);
      };
      await assertAlive(stage);
      const hasAudit = !Deno.env.has("WPS_TEST_KUBECONFIG");
      await ingress(life, phase);
      await preparation(life, phase);
      const held = await setup(life, phase);
      await analysis(life, phase, held);
      await ending(life, phase);
      await assertAlive(stage);
      await t.step({
        name: "no instant broke an invariant",
        fn: () => assertInvariants(stage, [life]),
        ...PHASE,
      });
      await t.step({
        name:
          "the service's own account was refused nothing, and used every rule of its role but those named",
        ignore: !hasAudit, // a site's audit log is out of reach
        fn: () => {
          // From the service's start on: the self-check asks for what nothing later does.
          const entries = entriesOf(stage.account, stage.cluster.readAudit().entries);
          assert.deepEqual(refusals(entries), []);
          const used = usedRules(entries).filter((rule) => AT_TIMES[rule] === undefined);
          const named = [...Object.keys(NOT_CALLED_FOR), ...Object.keys(AT_TIMES)];
          assert.deepEqual([...used, ...named].sort(), grantedRules());
        },
        ...PHASE,
      });
      console.log(`${life.permitId}: ${Date.now() - began} ms`);
    } finally {
      await stage.close();
    }
  },
});

/** A phase to be judged; those after it need what it left. */
type PhaseStep = (name: string, fn: () => Promise<void>) => Promise<void>;

async function ingress(life: Life, phase: PhaseStep): Promise<void> {
  const { stage } = life;
  await phase("AWAITING_INGRESS: nothing new", async () => {
    await life.status("AWAITING_INGRESS", PEOPLE);
    await until("the event was worked on", async () => {
      const states = await life.jobStates() ?? [];
      return states.length > 0 && states.every((state) => state === "succeeded");
    });
    assert.equal((await readView(stage.cluster, life.permitId)).namespace, null);
  });
  await phase("permit.ingress.initiated: an airlock per holder", async () => {
    await life.send("permit.ingress.initiated", { status: "AWAITING_INGRESS" });
    life.volumes = { "uploads/hospital-a": "tainted", "uploads/hospital-b": "tainted" };
    const { pod } = await life.judge(airlocks());
    const [a, b] = [pod("airlock", "hospital-a"), pod("airlock", "h.bauer")];
    await upload(stage.cluster, a, "/uploads/hospital-a", FIRST_BATCH);
    await upload(stage.cluster, b, "/uploads/hospital-b", { "b.csv": "b\n" });
  });
}

async function preparation(life: Life, phase: PhaseStep): Promise<void> {
  const { stage: { cluster } } = life;
  let uids: number[] = [];
  const judgeFirstBatches = async ({ pod }: Judged): Promise<void> => {
    const desk = pod("preprocessing", "m.keller");
    const [a = 0, b = 0] = uids;
    await judgeBatch(cluster, desk, "/data/raw/hospital-a/batch-1", FIRST_BATCH, a);
    await judgeBatch(cluster, desk, "/data/raw/hospital-b/batch-1", { "b.csv": "b\n" }, b);
  };
  await phase("DATA_PREPARATION_PENDING: uploads consolidated, airlocks gone", async () => {
    const airlockPods = HOLDERS.map(({ username }) =>
      life.view().pods.find((pod) => markOf(pod, MARK.username) === username)
    );
    uids = airlockPods.map((pod) => pod?.spec.securityContext.runAsUser);
    await life.status("DATA_PREPARATION_PENDING");
    life.volumes = { raw: "tainted", prepared: "tainted", "staff-home/preprocessing/m.keller": "tainted" };
    const judged = await life.judge([preprocessing()]);
    await judgeFirstBatches(judged);
    const desk = judged.pod("preprocessing", "m.keller");
    await writeFile(cluster, desk, "/data/prepared/table.csv", "prepared\n");
    await writeFile(cluster, desk, "/home/m.keller/notes", "as I left it\n");
  });
  await phase("DATA_PREPARATION_REVIEW_PENDING: the reviewer reads, preprocessing is stopped", async () => {
    await life.status("DATA_PREPARATION_REVIEW_PENDING");
    life.volumes["staff-home/preparation-review/a.rossi"] = "tainted";
    const { pod } = await life.judge([preprocessing("stopped"), preparationReview()]);
    const desk = pod("preparation-review", "a.rossi");
    assert.equal(await readFile(cluster, desk, "/data/prepared/table.csv"), "prepared\n");
  });
  await phase("permit.ingress.initiated beside a review: new airlocks, the review goes on", async () => {
    const before = life.view().pods.map(({ metadata }) => metadata.uid);
    await life.send("permit.ingress.initiated");
    Object.assign(life.volumes, { "uploads/hospital-a@2": "tainted", "uploads/hospital-b@2": "tainted" });
    const { pod, view } = await life.judge([...airlocks(), preprocessing("stopped"), preparationReview()]);
    assert.ok(
      view.pods.some(({ metadata }) => before.includes(metadata.uid)),
      "the reviewer was not disturbed",
    );
    await upload(cluster, pod("airlock", "hospital-a"), "/uploads/hospital-a", { "late.csv": "late\n" });
  });
  await phase(
    "DATA_PREPARATION_REWORK: the second batch beside the first, the desk as it was left",
    async () => {
      await life.status("DATA_PREPARATION_REWORK");
      delete life.volumes["uploads/hospital-a@2"];
      delete life.volumes["uploads/hospital-b@2"];
      const judged = await life.judge([preprocessing()]);
      await judgeFirstBatches(judged);
      const desk = judged.pod("preprocessing", "m.keller");
      const [a = 0] = uids;
      await judgeBatch(cluster, desk, "/data/raw/hospital-a/batch-2", { "late.csv": "late\n" }, a);
      assert.equal(await readFile(cluster, desk, "/home/m.keller/notes"), "as I left it\n");
    },
  );
}

async function setup(life: Life, phase: PhaseStep): Promise<HeldConnection> {
  const { stage, stage: { cluster } } = life;
  let held: HeldConnection | undefined;
  await phase("WORKSPACE_SETUP_PENDING: research through the proxy, no data", async () => {
    await life.status("WORKSPACE_SETUP_PENDING");
    Object.assign(life.volumes, { project: "clean", "home/j.virtanen": "clean", "home/m.laine": "clean" });
    const { pod } = await life.judge(researchSetup());
    const [first, second] = RESEARCHERS.map(({ username }) => pod("research", username));
    assert.ok(first !== undefined && second !== undefined);
    await judgeProxy(stage, first);
    await writeFile(cluster, first, "/home/j.virtanen/tool", "mine\n");
    await writeFile(cluster, first, "/project/shared", "ours\n");
    assert.equal(await readFile(cluster, second, "/project/shared"), "ours\n", "project is shared");
  });
  await phase("WORKSPACE_SETUP_REVIEW_PENDING: the reviewer reads homes and project", async () => {
    await life.status("WORKSPACE_SETUP_REVIEW_PENDING");
    life.volumes["staff-home/setup-review/a.rossi"] = "tainted";
    const { pod } = await life.judge([...researchSetup("stopped"), setupReview()]);
    const desk = pod("setup-review", "a.rossi");
    assert.equal(await readFile(cluster, desk, "/review/j.virtanen/tool"), "mine\n");
    assert.equal(await readFile(cluster, desk, "/project/shared"), "ours\n");
  });
  await phase("WORKSPACE_SETUP_REWORK: research again, home as it was left", async () => {
    await life.status("WORKSPACE_SETUP_REWORK");
    const { pod } = await life.judge(researchSetup());
    const desk = pod("research", "j.virtanen");
    assert.equal(await readFile(cluster, desk, "/home/j.virtanen/tool"), "mine\n");
    held = await holdToProxy(stage, desk);
  });
  return held ?? assert.fail("nothing is held");
}

async function analysis(life: Life, phase: PhaseStep, held: HeldConnection): Promise<void> {
  const { stage: { cluster, service } } = life;
  const permit = encodeURIComponent(life.permitId);
  let before: Judged | undefined;
  await phase("ANALYSIS_ACTIVE: the data, and no way out", async () => {
    await life.status("ANALYSIS_ACTIVE");
    const tainted = { outputs: "tainted", project: "tainted", "home/j.virtanen": "tainted" } as const;
    Object.assign(life.volumes, tainted, { "home/m.laine": "tainted" });
    before = await life.judge(researchAnalysis());
    const desk = before.pod("research", "j.virtanen");
    const seenMs = await held.lastSeen(), { startedAt } = desk.status.containerStatuses[0].state.running;
    assert.ok(seenMs < Date.parse(startedAt), "a connection of the setup is dead before anything sees data");
    console.log(
      `a connection of the setup ended ${Date.parse(startedAt) - seenMs} ms before data was mounted`,
    );
    assert.equal(await readFile(cluster, desk, "/data/prepared/table.csv"), "prepared\n");
    assert.equal(await readFile(cluster, desk, "/home/j.virtanen/tool"), "mine\n");
    await writeFile(cluster, desk, "/data/outputs/model", "model\n");
    const { body } = await service.get(`/api/v1/workspaces/${permit}/connection?username=j.virtanen`);
    const { connection } = body as { connection: Record<string, unknown> }; // the blueprint's answer
    const { protocol, port, username, password } = connection;
    const seen = before.inside.get("research/j.virtanen")?.password;
    assert.deepEqual([protocol, port, username, password === seen], ["rdp", 3389, "j.virtanen", true]);
  });
  await phase("permit.workspace.stop_requested: no pod, storage untouched", async () => {
    await life.send("permit.workspace.stop_requested", { status: "ANALYSIS_ACTIVE" });
    const { view } = await life.judge(researchAnalysis("stopped"));
    assert.deepEqual(view.pods, []);
    assert.deepEqual(claimUids(view), claimUids(before?.view ?? view));
  });
  await phase("permit.workspace.start_requested: as it was, with a new password", async () => {
    await life.send("permit.workspace.start_requested");
    const { view, pod, inside } = await life.judge(researchAnalysis());
    assert.deepEqual(claimUids(view), claimUids(before?.view ?? view));
    assert.equal(await readFile(cluster, pod("research", "j.virtanen"), "/data/outputs/model"), "model\n");
    const password = (seen: Judged["inside"] | undefined): string | undefined =>
      seen?.get("research/j.virtanen")?.password;
    assert.notEqual(password(inside), password(before?.inside));
  });
  await phase(
    "WORKSPACE_SETUP_PENDING after an analysis: fresh home and project, the old ones kept",
    async () => {
      await life.status("WORKSPACE_SETUP_PENDING");
      Object.assign(life.volumes, {
        "project@2": "clean",
        "home/j.virtanen@2": "clean",
        "home/m.laine@2": "clean",
      });
      const { pod } = await life.judge(researchSetup());
      const desk = pod("research", "j.virtanen");
      for (const path of ["/home/j.virtanen/tool", "/project/shared"]) {
        assert.equal(await readFile(cluster, desk, path), null, path);
      }
      await writeFile(cluster, desk, "/home/j.virtanen/fresh", "new\n");
    },
  );
  await phase("ANALYSIS_ACTIVE again: the newest home, tainted now", async () => {
    await life.status("ANALYSIS_ACTIVE");
    const tainted = { "project@2": "tainted", "home/j.virtanen@2": "tainted" } as const;
    Object.assign(life.volumes, tainted, { "home/m.laine@2": "tainted" });
    const { pod } = await life.judge(researchAnalysis());
    const desk = pod("research", "j.virtanen");
    assert.equal(await readFile(cluster, desk, "/home/j.virtanen/fresh"), "new\n");
    assert.equal(await readFile(cluster, desk, "/data/outputs/model"), "model\n");
  });
}

async function ending(life: Life, phase: PhaseStep): Promise<void> {
  await phase("ARCHIVED: no workspace, all volumes", async () => {
    const before = claimUids(life.view());
    await life.status("ARCHIVED");
    const { view } = await life.judge([]);
    assert.deepEqual(claimUids(view), before);
  });
  await phase("permit.deleted: nothing is left", () => life.end());
}
