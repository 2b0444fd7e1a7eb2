/** Every single crash: a permit is led from one situation to another, once for each point at which the service can die. */
import { LabInside } from "../../src/drivers/lab/inside.ts";
import type { LabSettings } from "../../src/drivers/lab/settings.ts";
import { SeededRandom } from "../seeded_random.ts";
import { type CrashPoint, Faults } from "./faults.ts";
import { STATUSES } from "./history.ts";
import type { Surroundings } from "./surroundings.ts";
import { complaints } from "./verdict.ts";
import { World } from "./world.ts";

/** An event of a way: a status, a flag, or another list of people. */
type Move = string;

/** How a permit gets to where a crash is tried; each ends at rest. */
export const SITUATIONS: Readonly<Record<string, readonly Move[]>> = {
  ...Object.fromEntries(STATUSES.map((status) => [status, [status]])),
  "ingress open": ["AWAITING_INGRESS", "permit.ingress.initiated"],
  "after analysis": ["ANALYSIS_ACTIVE", "WORKSPACE_SETUP_PENDING"],
  "halted": ["ANALYSIS_ACTIVE", "permit.halted"],
  "stopped": ["ANALYSIS_ACTIVE", "permit.workspace.stop_requested"],
};

/** What happens then. */
export const TURNS: readonly Move[] = [
  ...STATUSES,
  "permit.ingress.initiated",
  "permit.workspace.stop_requested",
  "permit.workspace.start_requested",
  "permit.halted",
  "permit.resumed",
  "permit.deleted",
  "people",
];

/** One run: the crash at the n-th point, or none to count them. */
export interface CrashSpec {
  situation: string;
  turn: Move;
  at: number | null;
}

/** What became of it. */
export interface CrashResult extends CrashSpec {
  /** Points that the turn has, in the run without a crash. */
  points: number;
  /** Where it died; null: the point was never reached. */
  died: CrashPoint | null;
  failures: string[];
}

const PERMIT = "permit-1";
/** Short, and different from each other. */
const QUICK: Partial<LabSettings> = {
  latencyMs: 1,
  bindMs: 20,
  syncMs: 4,
  startMs: 30,
  readyMs: 20,
  stopMs: 40,
  enforceMs: 5,
  gateMs: 7,
  controlMs: 15,
  taskMs: 50,
  reclaimMs: 20,
  namespaceMs: 25,
};
/** First look whether all is well, in simulated time; doubles. */
const LOOK_MS = 500;
/** Several drift passes. */
const SETTLE_MAX_MS = 24 * 3_600_000;

/** No faults but one death at one point, once it is armed. */
class OneDeath extends Faults {
  isArmed = false;
  points = 0;
  died: CrashPoint | null = null;

  constructor(readonly at: number | null) {
    super(new SeededRandom("crashes"), new Set());
  }

  /** See {@link Faults}. */
  override dies(point: CrashPoint): boolean {
    if (!this.isArmed || this.died !== null) return false;
    this.points++;
    if (this.points !== this.at) return false;
    this.died = point;
    return true;
  }
}

/** Plays one. Throws nothing. */
export async function playCrash(spec: CrashSpec, surroundings: Surroundings): Promise<CrashResult> {
  const faults = new OneDeath(spec.at);
  const world = new World({ ...surroundings, random: new SeededRandom("crash"), faults, settings: QUICK });
  const failures: string[] = [];
  try {
    await world.start();
    const moves = SITUATIONS[spec.situation] ?? [];
    for (const [index, move] of moves.entries()) {
      publish(world, move, index);
      failures.push(...await settle(world, `before: ${move}`));
    }
    upload(world);
    faults.isArmed = true;
    publish(world, spec.turn, moves.length);
    failures.push(...await settle(world, spec.turn));
    faults.isArmed = false;
    await world.end();
  } catch (thrown) {
    failures.push(`the simulation broke off: ${thrown instanceof Error ? thrown.stack : thrown}`);
  }
  if (world.failure !== null) failures.push(`the service broke: ${world.failure}`);
  for (const { invariant, text } of world.violations()) failures.push(`invariant ${invariant}, ${text}`);
  failures.push(...world.vigilance.failures);
  for (const action of new Set(world.unrecorded)) failures.push(`invariant 6: no row, and yet ${action}`);
  return { ...spec, points: faults.points, died: faults.died, failures };
}

/** All runs of a pair, by the points of the one without a crash: `every` n-th of them, beginning with `offset`. */
export function pointsOf(points: number, every: number, offset: number): number[] {
  return Array.from({ length: points }, (_, index) => index + 1).filter((at) => (at + offset) % every === 0);
}

/** A pair of situation and turn, and at which of its points a crash was to be tried. */
export interface CrashPlan {
  situation: string;
  turn: Move;
  /** Of the points that the run without a crash counted. */
  tried: (points: number) => number[];
}

/**
 * What was to be tried and was not, a line each: a pair whose points nobody counted, a point without a run, a run in
 * which the service did not die. Anything here means that the crashes prove less than they seem to.
 */
export function gapsOf(plans: readonly CrashPlan[], results: readonly CrashResult[]): string[] {
  const byPair = Map.groupBy(results, ({ situation, turn }) => `${situation} > ${turn}`);
  return plans.flatMap(({ situation, turn, tried }) => {
    const pair = `${situation} > ${turn}`;
    const runs = byPair.get(pair) ?? [];
    const without = runs.find(({ at }) => at === null);
    if (without === undefined) return [`${pair}: its points were not counted`];
    return tried(without.points).flatMap((point) => {
      const run = runs.find(({ at }) => at === point);
      if (run === undefined) return [`${pair}, point ${point}: not played`];
      return run.died === null ? [`${pair}, point ${point}: never reached`] : [];
    });
  });
}

function publish(world: World, move: Move, index: number): void {
  const isStatus = STATUSES.some((status) => status === move);
  const type = isStatus || move === "people" ? "permit.status.updated" : move;
  const researchers = ["r1", "r2"].slice(0, move === "people" ? 1 : 2).map((username, at) => ({
    username,
    uid: 21_001 + at,
    gid: 21_001 + at,
  }));
  const everybody = {
    dataHolders: [{ id: "hospital-1", username: "h1", allowedCidrs: ["203.0.113.1/32"], sshPublicKeys: [] }],
    preprocessor: { username: "m.keller" },
    reviewer: { username: "a.rossi" },
    setupReviewer: { username: "a.rossi" },
    researchers,
  };
  const data = {
    ...(isStatus ? { status: move } : {}),
    ...(index === 0 ? everybody : move === "people" ? { researchers } : {}),
  };
  if (move === "permit.deleted") world.deleted.add(PERMIT);
  const id = `evt-${index}`;
  const body = new TextEncoder().encode(
    JSON.stringify({ id, type, permitId: PERMIT, revision: index + 1, data }),
  );
  world.broker.publish({ serial: index, routingKey: type, messageId: id, body });
}

/** A file in each open airlock, so that there is something to lose. */
function upload(world: World): void {
  const inside = new LabInside(world.cluster);
  try {
    inside.writeInside(PERMIT, "airlock/hospital-1", "/uploads/hospital-1/cohort.csv", "1;2;3");
  } catch {
    // No airlock is open.
  }
}

async function settle(world: World, what: string): Promise<string[]> {
  const { timeline } = world;
  const endMs = timeline.now() + SETTLE_MAX_MS;
  for (let pauseMs = LOOK_MS;; pauseMs = Math.min(2 * pauseMs, SETTLE_MAX_MS / 20)) {
    await timeline.run(timeline.now() + pauseMs);
    const wrong = await complaints(world, [PERMIT]);
    if (wrong.length === 0) return [];
    if (timeline.now() >= endMs || world.failure !== null) {
      return wrong.map((text) => `${what}: never came right: ${text}`);
    }
  }
}
