/** What an operator notices: how fast `wps status` answers, how soon work goes on after a crash, how much memory. */
import { until } from "../tests/services/until.ts";
import type { Publisher } from "./provision.ts";
import { endedJob } from "./provision.ts";
import type { Service } from "./service.ts";
import { type Row, spread } from "./table.ts";

const STATUS_RUNS = 20;
const OPEN_JOBS = 100;
/** The service is killed so often: how long a start takes depends on what else the machine does. */
const CRASHES = 5;
const MEMORY_LOOKS = 5;
const MEMORY_PAUSE_MS = 200;
const SETTLE_MS = 180_000;
const ROOT = new URL("..", import.meta.url).pathname;

/** `wps status` as a process of its own, from start to exit; `runs` times, of which the first does not count. */
export async function benchStatus(
  service: Service,
  permitId: string,
  runs = STATUS_RUNS,
): Promise<Row[]> {
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const begin = performance.now();
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-prompt",
        `${ROOT}main.ts`,
        "status",
        permitId,
        "--config",
        service.configPath,
      ],
      stdout: "null",
      stderr: "null",
    }).output();
    if (code !== 0) throw new Error(`wps status exited with ${code}`);
    if (i > 0) times.push(performance.now() - begin); // the first run fills the module cache
  }
  const empty: number[] = [];
  for (let i = 0; i < runs; i++) {
    const begin = performance.now();
    await new Deno.Command(Deno.execPath(), { args: ["eval", "0"], stdout: "null", stderr: "null" }).output();
    empty.push(performance.now() - begin);
  }
  const section = "command line";
  return [
    { section, what: "wps status, whole process", value: spread(times), ratio: null },
    { section, what: "  floor: an empty Deno program", value: spread(empty), ratio: null },
  ];
}

/** Resident memory of the service in MiB, some looks one after the other: between two collections it is never the same. */
export async function memoryOf(service: Service): Promise<number[]> {
  const found: number[] = [];
  for (let look = 0; look < MEMORY_LOOKS; look++) {
    if (look > 0) await new Promise((resolve) => setTimeout(resolve, MEMORY_PAUSE_MS));
    found.push(service.rssMib());
  }
  return found;
}

/**
 * SIGKILL with 100 open jobs, and how long until each of them is claimed again, some times over. Also memory: `idle` as
 * {@link memoryOf} gave it after a start, and after 100 permits.
 */
export async function benchResume(service: Service, publisher: Publisher, idle: number[]): Promise<Row[]> {
  const ids = Array.from({ length: OPEN_JOBS }, (_, i) => `bench-${Deno.pid}-resume-${i}`);
  const sinceMs = Date.now();
  // Nobody names a preprocessor: the jobs stay open, waiting by name.
  await Promise.all(ids.map((id) => publisher.status(id, "DATA_PREPARATION_PENDING", 1)));
  const open = async (): Promise<number> =>
    (await service.get<{ jobs: { running: number } }>("/api/v1/health")).jobs.running;
  await until(`${OPEN_JOBS} open jobs`, async () => await open() >= OPEN_JOBS, SETTLE_MS);
  const readyMs: number[] = [], resumedMs: number[] = [];
  for (let crash = 0; crash < CRASHES; crash++) {
    await service.kill();
    const begin = performance.now();
    await service.relaunch();
    await service.ready();
    readyMs.push(performance.now() - begin);
    await until("all jobs to be running again", async () => await open() >= OPEN_JOBS, SETTLE_MS);
    resumedMs.push(performance.now() - begin);
  }
  await Promise.all(ids.map((id) => publisher.status(id, "WORKSPACE_SETUP_PENDING", 1)));
  for (const id of ids) await endedJob(service, id, sinceMs);
  const after = await memoryOf(service);
  for (const id of ids) await publisher.deleted(id);
  const row = (what: string, value: string): Row => ({
    section: "crash and memory",
    what,
    value,
    ratio: null,
  });
  return [
    row(`SIGKILL with ${OPEN_JOBS} open jobs: process up and ready`, spread(readyMs, "ms", 0)),
    row(`SIGKILL with ${OPEN_JOBS} open jobs: all claimed again`, spread(resumedMs, "ms", 0)),
    row("resident memory, idle", spread(idle, "MiB", 0)),
    row(`resident memory, after ${OPEN_JOBS} permits`, spread(after, "MiB", 0)),
  ];
}
