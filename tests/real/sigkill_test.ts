/**
 * SIGKILL of the service at random moments while permits go through their phases on real parts: no event is lost, no
 * object is made twice, every phase ends as it does in an undisturbed run, and no instant breaks an invariant.
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { requireOrReport } from "../cluster/harness.ts";
import { SeededRandom } from "../seeded_random.ts";
import { until } from "../services/until.ts";
import { nameOf, readView } from "./end_to_end/cluster_view.ts";
import {
  airlocks,
  type Expected,
  preparationReview,
  preprocessing,
  researchAnalysis,
  researchSetup,
  setupReview,
} from "./end_to_end/expected.ts";
import { lookInside, readFile, writeFile } from "./end_to_end/inside.ts";
import { settles } from "./end_to_end/judge.ts";
import { type Killer, resumptions, startKiller } from "./end_to_end/killer.ts";
import { assertAcknowledged, assertInvariants, Life } from "./end_to_end/life.ts";
import { creations, normalize, type Normalized } from "./end_to_end/normalized.ts";
import type { KubeObject } from "./end_to_end/objects.ts";
import { HOLDERS, PEOPLE } from "./end_to_end/site.ts";
import { type Stage, startStage } from "./end_to_end/stage.ts";

const ignore = !(await requireOrReport("cluster") && await requireOrReport("rabbitmq"));

const KILLS_MIN = 30;
/** Permits that wait for each phase, and permits that do not. */
const WALKERS = 2, HASTY = 2;
/** A phase under kills, on a machine that may be busy with other things. */
const SETTLE_MS = 180_000;
/** The aim of the benchmark for the whole resume; what a machine is busy with besides counts in it. */
const RESUME_MS = 5_000;
const AT_ONCE_MS = 1_000;

const PERSONS = { ...PEOPLE, dataHolders: HOLDERS.slice(0, 1) };
const STATUS = "permit.status.updated";

interface Move {
  name: string;
  type: string;
  body: Record<string, unknown>;
  expected: Expected["workspaces"];
}

function move(name: string, expected: Expected["workspaces"], more: Record<string, unknown> = {}): Move {
  const isEvent = name.startsWith("permit.");
  return { name, type: isEvent ? name : STATUS, body: isEvent ? more : { status: name, ...more }, expected };
}

/** The way that each permit goes; every kind of workspace, a stop and a start, and back to setup after analysis. */
const WAY: Move[] = [
  move("AWAITING_INGRESS", [], PERSONS),
  move("permit.ingress.initiated", airlocks(PERSONS.dataHolders)),
  move("DATA_PREPARATION_PENDING", [preprocessing()]),
  move("DATA_PREPARATION_REVIEW_PENDING", [preprocessing("stopped"), preparationReview()]),
  move("WORKSPACE_SETUP_PENDING", researchSetup()),
  move("WORKSPACE_SETUP_REVIEW_PENDING", [...researchSetup("stopped"), setupReview()]),
  move("ANALYSIS_ACTIVE", researchAnalysis()),
  move("permit.workspace.stop_requested", researchAnalysis("stopped")),
  move("permit.workspace.start_requested", researchAnalysis()),
  move("WORKSPACE_SETUP_REWORK", researchSetup()),
  move("ANALYSIS_ACTIVE", researchAnalysis()),
];

Deno.test({
  name: `SIGKILL of the service at ${KILLS_MIN} random moments loses nothing and repeats nothing`,
  ignore,
  fn: async () => {
    const seed = Number(Deno.env.get("WPS_TEST_SEED") ?? crypto.getRandomValues(new Uint16Array(1))[0]);
    console.log(`WPS_TEST_SEED=${seed} decides the moments`);
    const random = new SeededRandom(seed);
    const stage = await startStage();
    let killer: Killer | undefined;
    try {
      const began = Date.now();
      const model = new Life(stage, "undisturbed");
      const phases = await walkUndisturbed(model);
      const beforeKills = Date.now();
      const disturbed = startKiller(stage.service, random);
      killer = disturbed;
      const walkers = lives(stage, WALKERS, "walker");
      const hasty = lives(stage, HASTY, "hasty");
      await Promise.all([
        ...walkers.map((life) => walk(life, phases, disturbed)),
        ...hasty.map((life) => rush(life, phases, random)),
      ]);
      const all = [...walkers, ...hasty];
      await Promise.all(all.map((life) => life.end()));
      assert.ok(disturbed.kills >= KILLS_MIN, `only ${disturbed.kills} kills`);
      await disturbed.stop();
      await model.end();
      await assertAllAccepted(stage, [model, ...all]);
      assertNothingTwice(stage, model, walkers);
      assertInvariants(stage, [model, ...all]);
      const resumed = assertResumes(stage, disturbed);
      const seconds = [beforeKills - began, Date.now() - beforeKills].map((ms) => Math.round(ms / 1000));
      console.log(
        `${disturbed.kills} kills; undisturbed ${seconds[0]} s, disturbed ${seconds[1]} s; ${resumed}`,
      );
    } finally {
      await killer?.stop();
      await stage.close();
    }
  },
});

function lives(stage: Stage, count: number, label: string): Life[] {
  return Array.from({ length: count }, (_, index) => new Life(stage, `${label} ${index + 1}`));
}

/** One permit's way without disturbance: how each phase ends. */
async function walkUndisturbed(life: Life): Promise<Map<Move, Normalized>> {
  const phases = new Map<Move, Normalized>();
  for (const move of WAY) {
    await life.send(move.type, move.body);
    await settles(life.stage, life.permitId, { workspaces: move.expected });
    await until("all jobs have ended", () => life.isIdle());
    await settles(life.stage, life.permitId, { workspaces: move.expected });
    phases.set(move, normalize(life.permitId, await readView(life.stage.cluster, life.permitId)));
    await leaveTraces(life, move);
  }
  return phases;
}

/** What people do meanwhile: an upload, which the preprocessor must find. */
async function leaveTraces(life: Life, { name }: Move): Promise<void> {
  const { stage: { cluster }, permitId } = life;
  const pod = (kind: string): KubeObject =>
    life.view().pods.find((pod) => nameOf(pod).startsWith(`${kind}/`)) ?? assert.fail(`no ${kind}`);
  if (name === "permit.ingress.initiated") {
    await writeFile(cluster, pod("airlock"), "/uploads/hospital-a/data.csv", `${permitId}\n`);
  }
  if (name === "DATA_PREPARATION_PENDING") {
    const found = await readFile(cluster, pod("preprocessing"), "/data/raw/hospital-a/batch-1/data.csv");
    assert.equal(found, `${permitId}\n`, "what was uploaded is there");
  }
}

/** The same way under kills, each phase compared with its model; then stops and starts until it was killed enough. */
async function walk(life: Life, phases: ReadonlyMap<Move, Normalized>, killer: Killer): Promise<void> {
  for (const move of WAY) await reach(life, move, phases);
  await assertEntrance(life);
  const [stop, start] = WAY.filter(({ name }) => name.startsWith("permit.workspace."));
  assert.ok(stop !== undefined && start !== undefined);
  while (killer.kills < KILLS_MIN) {
    await life.send(stop.type);
    await settles(life.stage, life.permitId, { workspaces: stop.expected }, SETTLE_MS);
    await life.send(start.type);
    await settles(life.stage, life.permitId, { workspaces: start.expected }, SETTLE_MS);
  }
}

async function reach(life: Life, move: Move, phases: ReadonlyMap<Move, Normalized>): Promise<void> {
  await life.send(move.type, move.body);
  await settles(life.stage, life.permitId, { workspaces: move.expected }, SETTLE_MS);
  const model = phases.get(move) ?? {};
  const differing = async (): Promise<[Normalized, Normalized]> => {
    const now = normalize(life.permitId, await readView(life.stage.cluster, life.permitId));
    const names = [...new Set([...Object.keys(now), ...Object.keys(model)])]
      .filter((name) => !isDeepStrictEqual(now[name], model[name]));
    const only = (all: Normalized): Normalized => Object.fromEntries(names.map((name) => [name, all[name]]));
    return [only(now), only(model)];
  };
  const what = `${life.permitId} is as the undisturbed permit in ${move.name}`;
  await until(what, async () => Object.keys((await differing())[0]).length === 0, SETTLE_MS)
    .catch(async () => assert.deepEqual(...await differing(), what));
  await leaveTraces(life, move);
}

/** Sends everything without waiting for anything; what counts is the last status. */
async function rush(life: Life, phases: ReadonlyMap<Move, Normalized>, random: SeededRandom): Promise<void> {
  for (const move of WAY) {
    await life.send(move.type, move.body);
    const endMs = Date.now() + random.next() * 4_000;
    await until("a moment later", () => Date.now() >= endMs);
  }
  const last = WAY.at(-1) ?? assert.fail();
  await settles(life.stage, life.permitId, { workspaces: last.expected }, SETTLE_MS);
  const compute = (normalized: Normalized | undefined): unknown =>
    Object.entries(normalized ?? {}).filter(([name]) =>
      /^(services|networkpolicies|secrets|limitranges)/.test(name)
    );
  const view = await readView(life.stage.cluster, life.permitId);
  assert.deepEqual(compute(normalize(life.permitId, view)), compute(phases.get(last)), life.permitId);
}

/** The password that the gateway is told is the one that the workspace has, whatever was killed in between. */
async function assertEntrance(life: Life): Promise<void> {
  const { stage: { cluster, service }, permitId } = life;
  const path = `/api/v1/workspaces/${encodeURIComponent(permitId)}/connection?username=j.virtanen`;
  const told = await until("the service tells the connection", async () => {
    const { ok, body } = await service.get(path);
    return ok && (body as { connection: { password: string } }).connection.password; // the blueprint's answer
  });
  assert.ok(
    (await lookInside(cluster, life.pod("research/j.virtanen"), [])).password === told,
    `${permitId}: the password works`,
  );
}

/** Each published message is recorded as accepted once; what a crash brought again was told to be a duplicate. */
async function assertAllAccepted(stage: Stage, lives: Life[]): Promise<void> {
  for (const life of lives) {
    assert.ok(await life.isAccepted(), `${life.permitId}: ${JSON.stringify(await life.recorded())}`);
    const others = (await life.recorded())?.filter(({ verdict }) => verdict !== "accepted") ?? [];
    assert.ok(others.every(({ verdict }) => verdict === "duplicate"), JSON.stringify(others));
  }
  await assertAcknowledged(stage);
}

/** What was created, and how often, is what the undisturbed run created. */
function assertNothingTwice(stage: Stage, model: Life, walkers: Life[]): void {
  const changes = stage.history.ordered();
  // A policy is made again by each cut of a workspace that is being removed; a pod by each start.
  const lasting = (life: Life): Record<string, number> =>
    Object.fromEntries(
      Object.entries(creations(changes, life.permitId)).filter(([name]) =>
        !/^(networkpolicies|pods) /.test(name)
      ),
    );
  for (const life of walkers) assert.deepEqual(lasting(life), lasting(model), life.permitId);
}

/** After a restart open jobs go on at once. */
function assertResumes({ service }: Stage, { starts }: Killer): string {
  const found = resumptions(service.log(), starts);
  assert.ok(found.length >= 5, `only ${found.length} restarts found open jobs`);
  const middle = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1] ?? 0;
  const slowest = Math.max(...found.map(({ sinceReadyMs }) => sinceReadyMs));
  const usual = middle(found.map(({ sinceStartMs }) => sinceStartMs));
  assert.ok(slowest < AT_ONCE_MS, `an open job waited ${slowest} ms although the service was ready`);
  assert.ok(usual < RESUME_MS, `it usually took ${usual} ms from the start to the first attempt`);
  return `${found.length} restarts resumed jobs, usually ${usual} ms after the process was started`;
}
