/** Health of the parts, in the API's words. None of these throws or waits. */
import type { HealthSources } from "../api/deps.ts";
import type { Driver } from "../core/driver.ts";
import { toInstant } from "../core/clock.ts";
import type { Drift } from "../runner/drift.ts";
import type { Probing } from "../runner/probing.ts";
import type { Runner } from "../runner/runner.ts";
import { permitsInBreach } from "../store/breaches.ts";
import type { Reader } from "../store/db.ts";
import { listExpiring } from "../store/expiry.ts";
import { listUncut, type Uncut } from "../store/uncut.ts";
import { type SelfCheck, worstOf } from "./self_check.ts";

/** One part's word. */
export type PartHealth = Awaited<ReturnType<HealthSources["broker"]>>;

/** The parts that are asked. */
export interface HealthParts {
  broker: { health(): PartHealth };
  readModel: { health(): Promise<PartHealth> };
  runner: Runner;
  drift: Drift;
  probing: Probing;
  driver: Driver;
  selfCheck: Pick<SelfCheck, "lines" | "sinceMs">;
  db: Reader;
}

/** The sources that `GET /api/v1/health` reads. */
export function healthSources(parts: HealthParts): HealthSources {
  return {
    broker: () => Promise.resolve(parts.broker.health()),
    readModel: () => parts.readModel.health(),
    driver: () => Promise.resolve(driverHealth(parts)),
    runner: () => runnerHealth(parts),
  };
}

const DRIVER_STATE = { ok: "ok", warning: "degraded", failed: "down" } as const;

/** The driver as its self-check sees it: `down` where a check failed. */
export function driverHealth({ driver, selfCheck }: Pick<HealthParts, "driver" | "selfCheck">): PartHealth {
  const checks = selfCheck.lines();
  const bad = checks.filter(({ result }) => result !== "ok");
  const detail = bad.length === 0
    ? `${driver.name}: all ${checks.length} checks are ok`
    : bad.map(({ check, detail, advice }) => `${check}: ${detail}. ${advice}`).join(" ");
  return { state: DRIVER_STATE[worstOf(checks)], detail, since: toInstant(selfCheck.sinceMs()), checks };
}

/** Names in one line of health; the log and status have them all. */
const SHOWN_MAX = 5;

function permits(count: number): string {
  return `${count} ${count === 1 ? "permit" : "permits"}`;
}

/** The database's own health says so when it cannot be read. */
async function brokenText(db: Reader): Promise<string> {
  const broken = await permitsInBreach(db, SHOWN_MAX + 1).catch((): string[] => []);
  if (broken.length === 0) return "";
  const more = broken.length > SHOWN_MAX ? " and more" : "";
  return `; an invariant is broken in ${broken.slice(0, SHOWN_MAX).join(", ")}${more}`;
}

/** Nothing is wrong with these, so the state stays as it is. */
async function expiringText(db: Reader): Promise<string> {
  const { total, first } = await listExpiring(db, SHOWN_MAX).catch(() => ({ total: 0, first: [] }));
  if (total === 0) return "";
  const names = first.map(({ permitId, expiresAt }) => `${permitId} at ${expiresAt}`).join(", ");
  const more = total > first.length ? " and more" : "";
  return `; ${permits(total)} ${total === 1 ? "ends" : "end"} soon: ${names}${more}`;
}

async function uncutText(db: Reader): Promise<string> {
  const uncut = await listUncut(db, SHOWN_MAX + 1).catch((): Uncut[] => []);
  const shown = uncut.slice(0, SHOWN_MAX);
  const running = shown.filter(({ stands }) => stands === "running");
  const open = shown.filter(({ stands }) => stands !== "running");
  const more = uncut.length > SHOWN_MAX ? "; and more of them" : "";
  return namesText("NOT CUT", open) + namesText("NOT STOPPED", running) + more;
}

function namesText(what: string, uncut: Uncut[]): string {
  if (uncut.length === 0) return "";
  const names = uncut.map(({ permitId, key }) => `${key} of ${permitId}`).join(", ");
  return `; ${what} although access must go: ${names}`;
}

async function runnerHealth({ runner, drift, probing, db }: HealthParts): Promise<PartHealth> {
  const { state, open, working, lastError } = runner.health();
  const { lastPassAtMs, differing, orphans } = drift.health();
  const pass = lastPassAtMs === null
    ? "no drift pass yet"
    : `drift pass ${toInstant(lastPassAtMs)}: ${permits(differing)} differed`;
  const strays = orphans.length === 0 ? "" : `; objects of unknown permits: ${orphans.join(", ")}`;
  const { unknown } = probing.health();
  const unshown = unknown.length === 0
    ? ""
    : `; isolation could not be shown again: ${unknown.slice(0, SHOWN_MAX).join("; ")}`;
  const [broken, uncut, expiring] = await Promise.all([brokenText(db), uncutText(db), expiringText(db)]);
  const detail = `${permits(working)} worked on, ${
    open - working
  } waiting; ${pass}${strays}${unshown}${broken}${uncut}${expiring}`;
  const isWell = orphans.length + unknown.length === 0 && broken === "" && uncut === "";
  if (state === "failing") return { state: "down", detail: lastError ?? detail, since: null };
  if (state === "stopped") return { state: "down", detail: "stopping", since: null };
  return { state: isWell ? "ok" : "degraded", detail, since: null };
}
