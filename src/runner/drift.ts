/**
 * The drift pass: compares observed with desired for every permit without an open job, records what differs and
 * queues a repair (DESIGN 6); beside an open job it only looks for a way out. Also how a failed job is tried again, at a
 * slow pace. A change that the platform tells of is looked at within seconds: an evicted pod must be proven anew or
 * stopped (DESIGN 8).
 *
 * Two kinds of repair. Access that must not stand is cut at once, by an urgent job that gives nothing. Everything
 * else queues behind all users' jobs, and not at all while the permit's last wish stands cancelled by a person: what
 * was cancelled stays so until the next event, `wps jobs retry` or `wps drift --repair`.
 */
import type { Whose } from "../core/driver.ts";
import { toFault } from "../core/fault.ts";
import type { Permit } from "../core/permit.ts";
import { jitteredMs } from "../core/retry.ts";
import type { Plan } from "../core/step.ts";
import type { Db } from "../store/db.ts";
import { listPermits } from "../store/permits.ts";
import { destroyAgain, differs, type LookDeps, lookForDrift, type Occasion } from "./drift_look.ts";

/** What the pass works with. */
export type DriftDeps = LookDeps;

/** The periodic pass. */
export interface Drift {
  /** Something of the permit, or beside it, changed on the platform. Cheap, may be told too often. */
  notice(permitId: string, whose?: Whose): void;
  /** A job has cut what the permit must not have: what it lacks now is looked at soon. */
  followUp(permitId: string): void;
  stop(): Promise<void>;
  health(): DriftHealth;
}

/** For /api/v1/health. */
export interface DriftHealth {
  lastPassAtMs: number | null;
  /** Permits that differed from their wish in the last pass. */
  differing: number;
  /** Permits that WPS does not know and that have objects. */
  orphans: string[];
}

/** Permits read at a time. */
const PAGE = 100;
/** Names of orphans kept for health; the log has them all. */
const ORPHANS_MAX = 50;
/** From a change to the look: changes come in bursts, and a job that is about to end looks by itself. */
const NOTICE_MS = 2_000;
/** Between two looks at one permit because of changes: what somebody undoes again and again is not repaired faster. */
const NOTICE_SPACING_MS = 30_000;
/** Noticed permits remembered; beyond that the pass finds what changed. */
const NOTICED_MAX = 10_000;

/** Starts both; the first pass begins after one interval, because a start resumes open jobs first. */
export function startDrift(deps: DriftDeps): Drift {
  const stopping = new AbortController();
  const passing = startPasses(deps, stopping.signal);
  const noticing = startNotices(deps, stopping.signal);
  return {
    notice: (permitId, whose = "ours") => noticing.notice(permitId, whose === "ours" ? "calmly" : "at once"),
    followUp: (permitId) => noticing.notice(permitId, "soon"),
    async stop(): Promise<void> {
      stopping.abort();
      await Promise.all([passing.done, noticing.done]);
    },
    health: passing.health,
  };
}

/** Null: it could not be looked at, which is told in the log. */
async function lookSafely(
  deps: DriftDeps,
  permitId: string,
  occasion: Occasion,
  signal: AbortSignal,
): Promise<Plan | null> {
  try {
    return await lookForDrift(deps, permitId, occasion, signal);
  } catch (thrown) {
    if (!signal.aborted) {
      deps.log.warn("cannot look for drift", { permit: permitId, error: toFault(thrown).message });
    }
    return null;
  }
}

function startPasses(deps: DriftDeps, signal: AbortSignal): { done: Promise<void>; health(): DriftHealth } {
  const { clock, random, intervalMs, log } = deps;
  let health: DriftHealth = { lastPassAtMs: null, differing: 0, orphans: [] };
  const interval = (): number => jitteredMs(intervalMs, random.next());

  /** Spreads the permits over the interval, so that a pass is no burst. */
  async function pass(): Promise<void> {
    const permits = (await knownPermits(deps.db)).filter(({ deletion }) => deletion !== "done");
    const pauseMs = Math.ceil(interval() / (permits.length + 1));
    let differing = 0;
    for (const { permitId } of permits) {
      await clock.sleep(pauseMs, signal);
      if (signal.aborted) return;
      const plan = await lookSafely(deps, permitId, "pass", signal);
      if (plan !== null && differs(plan)) differing++;
    }
    await clock.sleep(pauseMs, signal);
    if (signal.aborted) return;
    // Read after the list: a permit that came meanwhile is no orphan.
    const found = await deps.driver.list(signal);
    const known = new Set(
      (await knownPermits(deps.db)).filter(({ deletion }) => deletion !== "done").map(({ permitId }) =>
        permitId
      ),
    );
    const orphans: string[] = [];
    for (const permit of found.filter((permitId) => !known.has(permitId))) {
      const known = await destroyAgain(deps, permit);
      if (known === "queued") {
        log.warn("objects of a deleted permit appeared again; they are destroyed", { permit });
      }
      if (known !== "unknown") continue;
      log.warn("objects of a permit that WPS does not know", { permit });
      orphans.push(permit);
    }
    health = { lastPassAtMs: clock.now(), differing, orphans: orphans.slice(0, ORPHANS_MAX) };
  }

  async function loop(): Promise<void> {
    await clock.sleep(interval(), signal);
    while (!signal.aborted) {
      try {
        await pass();
      } catch (thrown) {
        if (signal.aborted) return;
        log.warn("drift pass broken off", { error: toFault(thrown).message });
        await clock.sleep(interval(), signal);
      }
    }
  }

  return { done: loop(), health: () => health };
}

async function knownPermits(db: Db): Promise<Permit[]> {
  const permits: Permit[] = [];
  for (let cursor: string | null = null;;) {
    const page: { items: Permit[]; next: string | null } = await listPermits(db, {}, { cursor, limit: PAGE });
    permits.push(...page.items);
    if (page.next === null) return permits;
    cursor = page.next;
  }
}

/** `at once`: what is not WPS's may open a network. `soon`: after a burst. `calmly`: no oftener than its spacing. */
type Hurry = "at once" | "soon" | "calmly";

function startNotices(
  deps: DriftDeps,
  signal: AbortSignal,
): { done: Promise<void>; notice(permitId: string, how: Hurry): void } {
  const { clock } = deps;
  const dueAtMs = new Map<string, number>();
  const lookedAtMs = new Map<string, number>();
  /** Beside whose objects something foreign changed; they go first. */
  const foreign = new Set<string>();
  let alarm = new AbortController();

  function notice(permitId: string, how: Hurry): void {
    const known = dueAtMs.get(permitId);
    if (known === undefined && dueAtMs.size >= NOTICED_MAX) return;
    const spacedMs = (lookedAtMs.get(permitId) ?? -Infinity) + NOTICE_SPACING_MS;
    const soonMs = clock.now() + NOTICE_MS;
    const atMs = how === "at once" ? clock.now() : how === "soon" ? soonMs : Math.max(soonMs, spacedMs);
    if (how === "at once") foreign.add(permitId);
    if (known !== undefined && known <= atMs) return;
    dueAtMs.set(permitId, atMs);
    alarm.abort();
  }

  async function lookNow(permitId: string): Promise<void> {
    const occasion = foreign.delete(permitId) ? "foreign" : "notice";
    dueAtMs.delete(permitId);
    lookedAtMs.set(permitId, clock.now());
    await lookSafely(deps, permitId, occasion, signal);
  }

  async function lookAtForeign(): Promise<void> {
    for (const permitId of [...foreign]) if (!signal.aborted) await lookNow(permitId);
  }

  async function lookAtDue(): Promise<void> {
    await lookAtForeign();
    for (const [permitId, atMs] of dueAtMs) {
      if (atMs > clock.now() || signal.aborted) continue;
      await lookNow(permitId);
      await lookAtForeign();
    }
    for (const [permitId, atMs] of lookedAtMs) {
      if (atMs + NOTICE_SPACING_MS <= clock.now()) lookedAtMs.delete(permitId);
    }
  }

  async function loop(): Promise<void> {
    const stop = (): void => alarm.abort();
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      await lookAtDue();
      alarm = new AbortController();
      if (signal.aborted) return;
      const nextMs = Math.min(
        ...dueAtMs.values(),
        ...[...lookedAtMs.values()].map((at) => at + NOTICE_SPACING_MS),
      );
      // Math.min of nothing: nobody is noticed, and a notice sounds the alarm.
      if (nextMs > clock.now()) await clock.sleep(Math.min(nextMs - clock.now(), IDLE_MS), alarm.signal);
    }
    signal.removeEventListener("abort", stop);
  }

  return { done: loop(), notice };
}

/** A day; nothing depends on it. */
const IDLE_MS = 86_400_000;
