/** What an operator notices: how fast `wps status` answers, how soon work goes on after a crash, how much memory. */
import { until } from "../tests/services/until.ts";
import type { Publisher } from "./provision.ts";
import { endedJob } from "./provision.ts";
import type { Service } from "./service.ts";
import { type Row, spread } from "./table.ts";

const STATUS_RUNS = 20;
const OPEN_JOBS = 100;
const SETTLE_MS = 180_000;
const ROOT = new URL("..", import.meta.url).pathname;

/** `wps status` as a process of its own, from start to exit. */
export async function benchStatus(service: Service, permitId: string): Promise<Row[]> {
  const times: number[] = [];
  for (let i = 0; i < STATUS_RUNS; i++) {
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
  for (let i = 0; i < STATUS_RUNS; i++) {
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

/**
 * SIGKILL with 100 open jobs, and how long until each of them is claimed again. Also memory, in MiB: `idleMib` as it
 * was after a start, and after 100 permits.
 */
export async function benchResume(service: Service, publisher: Publisher, idleMib: number): Promise<Row[]> {
  const section = "crash and memory";
  const ids = Array.from({ length: OPEN_JOBS }, (_, i) => `bench-${Deno.pid}-resume-${i}`);
  const sinceMs = Date.now();
  // Nobody names a preprocessor: the jobs stay open, waiting by name.
  await Promise.all(ids.map((id) => publisher.status(id, "DATA_PREPARATION_PENDING", 1)));
  const open = async (): Promise<number> =>
    (await service.get<{ jobs: { running: number } }>("/api/v1/health")).jobs.running;
  await until(`${OPEN_JOBS} open jobs`, async () => await open() >= OPEN_JOBS, SETTLE_MS);
  await service.kill();
  const begin = performance.now();
  await service.relaunch();
  await service.ready();
  const readyMs = performance.now() - begin;
  await until("all jobs to be running again", async () => await open() >= OPEN_JOBS, SETTLE_MS);
  const resumedMs = performance.now() - begin;
  await Promise.all(ids.map((id) => publisher.status(id, "WORKSPACE_SETUP_PENDING", 1)));
  for (const id of ids) await endedJob(service, id, sinceMs);
  const afterMib = service.rssMib();
  for (const id of ids) await publisher.deleted(id);
  return [
    {
      section,
      what: "SIGKILL with 100 open jobs: process up and ready",
      value: `${readyMs.toFixed(0)} ms`,
      ratio: null,
    },
    {
      section,
      what: "SIGKILL with 100 open jobs: all 100 claimed again",
      value: `${resumedMs.toFixed(0)} ms`,
      ratio: null,
    },
    { section, what: "resident memory, idle", value: `${idleMib.toFixed(0)} MiB`, ratio: null },
    { section, what: "resident memory, after 100 permits", value: `${afterMib.toFixed(0)} MiB`, ratio: null },
  ];
}
