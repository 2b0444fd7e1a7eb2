/** One run: a seed decides the site, the permits' histories and the faults; then everything must come right. */
import type { LabSettings } from "../../src/drivers/lab/settings.ts";
import { Chaos } from "./chaos.ts";
import { type FaultKind, Faults } from "./faults.ts";
import { drawHistory, type Message } from "./history.ts";
import { SeededRandom } from "../seeded_random.ts";
import type { Surroundings } from "./surroundings.ts";
import { acceptedEvents, complaints } from "./verdict.ts";
import { World } from "./world.ts";

/** What a run is made of; everything else follows from it. */
export interface RunSpec {
  seed: string;
  /** Kinds that may take part. */
  faults: ReadonlySet<FaultKind>;
  /** Messages that are left out, as "permit-1#3": what the shrinker found unnecessary. */
  without: ReadonlySet<string>;
}

/** What a run showed. */
export interface RunResult {
  /** Empty: all went well. */
  failures: string[];
  struck: Record<string, number>;
  kinds: FaultKind[];
  /** "phase WORKSPACE_SETUP_PENDING > ANALYSIS_ACTIVE" (accepted statuses in turn) and how often; jobs, verdicts, steps by how they ended. */
  transitions: Record<string, number>;
  history: Message[];
  /** Milliseconds of pods with data, and of these with a way out that somebody opened behind the service's back. */
  dataMs: number;
  excusedMs: number;
  simulatedMs: number;
  log: string[];
}

/** After the last message faults go on for this long. */
const CHAOS_MORE_MS = 600_000;
/** How long the service may take to come right once nothing goes wrong any more: several drift passes. */
const CONVERGE_MAX_MS = 48 * 3_600_000;
/** Then nothing may change for this long: two drift passes. */
const REST_MS = 1_300_000;
/** How often the end is looked for. */
const LOOK_MS = 20_000;

/** Plays a run. Throws nothing: what the simulation itself cannot do is a failure, too. */
export async function play(spec: RunSpec, surroundings: Surroundings): Promise<RunResult> {
  const random = new SeededRandom(spec.seed);
  const faults = new Faults(random.fork("faults"), spec.faults);
  const history = drawHistory(random.fork("history"), faults)
    .filter((message) => !spec.without.has(nameOf(message)));
  const world = new World({
    ...surroundings,
    random: random.fork("world"),
    faults,
    settings: drawSettings(random.fork("settings"), faults),
  });
  const failures: string[] = [];
  try {
    await world.start();
    failures.push(...await act(world, faults, history, random));
    await world.end();
  } catch (thrown) {
    failures.push(`the simulation broke off: ${thrown instanceof Error ? thrown.stack : thrown}`);
  }
  if (world.failure !== null) {
    failures.push(
      `the service broke: ${world.failure instanceof Error ? world.failure.stack : world.failure}`,
    );
  }
  for (const { invariant, permitId, text, fromMs } of world.violations()) {
    failures.push(`invariant ${invariant}, ${permitId}, ${text} (at ${new Date(fromMs).toISOString()})`);
  }
  failures.push(...world.vigilance.failures);
  for (const action of new Set(world.unrecorded)) failures.push(`invariant 6: no row, and yet ${action}`);
  return {
    failures,
    struck: Object.fromEntries(faults.struck),
    kinds: faults.kinds,
    transitions: world.transitions,
    history,
    dataMs: world.witness.dataMs,
    excusedMs: world.witness.excusedMs,
    simulatedMs: world.timeline.elapsedMs,
    log: world.log,
  };
}

/** "permit-1#3" */
export function nameOf({ permitId, index }: Message): string {
  return `${permitId}#${index}`;
}

async function act(
  world: World,
  faults: Faults,
  history: Message[],
  random: SeededRandom,
): Promise<string[]> {
  const { timeline, broker } = world;
  const permitIds = [...new Set(history.map(({ permitId }) => permitId))];
  history.forEach((message, serial) => {
    timeline.at(message.atMs, () => {
      if (message.move === "permit.deleted") world.deleted.add(message.permitId);
      const body = new TextEncoder().encode(message.body);
      broker.publish({ serial, routingKey: message.routingKey, messageId: message.messageId, body });
    });
  });
  const chaos = new Chaos(world, faults, random.fork("chaos"), permitIds);
  const lastMs = Math.max(0, ...history.map(({ atMs }) => atMs));
  await chaos.rage(timeline.now() + lastMs + CHAOS_MORE_MS);
  faults.end();
  chaos.heal();
  const wrong = await settle(world, permitIds);
  if (wrong.length > 0) return wrong.map((text) => `never came right: ${text}`);
  await timeline.run(timeline.now() + REST_MS);
  await world.note();
  return [
    ...(await complaints(world, permitIds)).map((text) => `did not stay right: ${text}`),
    ...chaos.losses(await held(world, permitIds)),
  ];
}

/** Permits that were halted when their deletion came and still are: what they hold stays until somebody resumes them. */
async function held(world: World, permitIds: string[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const permitId of permitIds) {
    const events = await acceptedEvents(world, permitId);
    const deletedAt = events.findIndex(({ type }) => type === "permit.deleted");
    const orders = events.map(({ type }) => type).filter((type, index) =>
      type === "permit.resumed" || (type === "permit.halted" && index < deletedAt)
    );
    if (deletedAt >= 0 && orders.at(-1) === "permit.halted") found.add(permitId);
  }
  return found;
}

/** Waits until nothing is wrong; what is left when the time is over. */
async function settle(world: World, permitIds: string[]): Promise<string[]> {
  const { timeline } = world;
  const endMs = timeline.now() + CONVERGE_MAX_MS;
  for (let pauseMs = LOOK_MS;; pauseMs = Math.min(2 * pauseMs, CONVERGE_MAX_MS / 20)) {
    const wrong = await complaints(world, permitIds);
    if (timeline.now() >= endMs || world.failure !== null) return wrong;
    const before = world.broker.open;
    for (const permitId of permitIds) {
      await world.resumeBreached(permitId);
      await world.acceptUploads(permitId);
      await world.retry(permitId);
    }
    if (wrong.length === 0 && world.broker.open === before) return wrong;
    await timeline.run(timeline.now() + pauseMs);
  }
}

/** A cluster of its own kind: slow or fast, with one node or more. */
function drawSettings(random: SeededRandom, faults: Faults): Partial<LabSettings> {
  const slow = faults.strikes("slow-pod");
  const late = faults.strikes("policy-late");
  return {
    nodes: random.between(1, 3),
    latencyMs: random.between(0, 20),
    bindMs: random.between(0, slow ? 20_000 : 300),
    startMs: random.between(0, slow ? 60_000 : 500),
    readyMs: random.between(0, slow ? 60_000 : 500),
    stopMs: random.between(0, slow ? 40_000 : 1_000),
    gateMs: random.between(5, 1_000),
    controlMs: random.between(10, slow ? 20_000 : 1_000),
    enforceMs: late ? random.between(500, 20_000) : random.between(0, 50),
    taskMs: random.between(0, slow ? 60_000 : 1_000),
    reclaimMs: random.between(0, 2_000),
    namespaceMs: random.between(0, 6_000),
    nodeLossMs: random.between(1_000, 40_000),
    syncMs: random.between(0, slow ? 10_000 : 200),
  };
}
