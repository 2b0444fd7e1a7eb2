// The test command: fast tiers first, while what the real tier needs is being built in the background.

import { LEFT_OUT_FILE } from "./cluster/availability.ts";
import { runChecks } from "./run/checks.ts";
import { type DenoTest, runDenoTest } from "./run/suite.ts";
import { describeAllLeftOut, Equipment } from "./run/equipment.ts";
import { type Options, readOptions, type Tier, USAGE } from "./run/options.ts";
import { type RealTurn, realTurn, testFiles } from "./run/sources.ts";
import { type Count, sum } from "./run/tally.ts";

/** The slowest tier, the real one, takes 19 minutes on 2 cores: what takes so much longer hangs. */
const TIER_LIMIT_MS = 40 * 60_000;

/** Some of the unit tests wait for processes, and leave their core to others. */
const OK_JOBS_PER_CORE = 2;

/** Files of the real tier beside each other: they mostly wait for pods, and two cores make those. */
const REAL_JOBS = 2;

const equipment = new Equipment();
const interrupted = new AbortController();

/** Runs a piece of the run's own work; when it throws, that is one failure and the rest goes on. */
async function attempt<T>(counts: Count[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    console.error(error);
    counts.push({ passed: 0, failed: 1, skipped: 0 });
    return undefined;
  }
}

/** Files that run in one call, and whether they need the cluster. */
type Turn = Pick<DenoTest, "files" | "jobs" | "together"> & { onCluster: boolean };

/** The files of a tier in the turns in which they run. */
function turnsOf(tier: Tier): Turn[] {
  const files = testFiles(tier);
  const alike = { together: false, onCluster: tier === "real" };
  switch (tier) {
    case "ok":
      return [{ ...alike, files, jobs: OK_JOBS_PER_CORE * navigator.hardwareConcurrency, together: true }];
    case "service":
      return [{ ...alike, files, jobs: 1 }];
    case "real": {
      const of = (turn: RealTurn): string[] => files.filter((path) => realTurn(path) === turn);
      return [
        { ...alike, files: of("without the cluster"), jobs: REAL_JOBS, onCluster: false },
        { ...alike, files: of("beside others"), jobs: REAL_JOBS },
        { ...alike, files: of("alone"), jobs: 1 },
      ];
    }
  }
}

async function runTier(tier: Tier, options: Options, leftOut: string): Promise<Count> {
  const counts: Count[] = [];
  if (tier === "ok" && options.filter === undefined) {
    const checked = await attempt(counts, runChecks);
    if (checked !== undefined) counts.push(checked);
  }
  const { filter, seed } = options;
  const unit = tier === "ok";
  let cluster: Record<string, string> | undefined;
  for (const { onCluster, ...turn } of turnsOf(tier)) {
    if (interrupted.signal.aborted) break;
    if (onCluster) cluster ??= await attempt(counts, () => equipment.start()) ?? {};
    const env = { [LEFT_OUT_FILE]: leftOut, ...cluster };
    counts.push(
      await runDenoTest({
        ...turn,
        filter,
        seed,
        env,
        // a dot is a whole line where the output is no terminal
        reporter: unit && filter === undefined && Deno.stdout.isTerminal() ? "dot" : "pretty",
        signal: interrupted.signal,
        limitMs: TIER_LIMIT_MS,
      }),
    );
  }
  return sum(counts);
}

async function run(options: Options): Promise<Count> {
  const leftOut = await Deno.makeTempFile({ prefix: "wps-test-left-out-" });
  const lines: string[] = [];
  const counts: Count[] = [];
  console.log(`order of the tests: --seed ${options.seed}`);
  try {
    if (options.tiers.includes("real") && testFiles("real").length > 0) equipment.prepare();
    for (const tier of options.tiers) {
      if (interrupted.signal.aborted) break;
      console.log(`\n== ${tier}`);
      const begun = performance.now();
      const count = await runTier(tier, options, leftOut);
      counts.push(count);
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      lines.push(
        `${
          tier.padEnd(8)
        } ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped in ${seconds} s`,
      );
    }
  } finally {
    await equipment.stop();
  }
  console.log(`\n${lines.join("\n")}`);
  const missing = describeAllLeftOut(await Deno.readTextFile(leftOut));
  await Deno.remove(leftOut);
  if (missing !== undefined) console.log(missing);
  return sum(counts);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    if (interrupted.signal.aborted) Deno.exit(130); // asked twice: at once
    interrupted.abort();
    equipment.stop();
  });
}

if (Deno.args.some((arg) => arg === "--help" || arg === "-h")) {
  console.log(USAGE);
  Deno.exit(0);
}
let options: Options;
try {
  options = readOptions(Deno.args, Math.floor(Math.random() * 1_000_000_000));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(2);
}
const total = await run(options);
console.log(`${total.passed} passed, ${total.failed} failed`);
if (interrupted.signal.aborted) Deno.exit(130);
Deno.exit(total.failed === 0 ? 0 : 1);
