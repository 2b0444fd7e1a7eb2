// The simulation's command: plays many seeds, says what happened in them, and shrinks what failed.
import { FAULT_KINDS } from "./faults.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { playAll } from "./pool.ts";
import { play, type RunSpec } from "./run.ts";
import { shrink } from "./shrink.ts";
import { within } from "./surroundings.ts";
import { RUNS_FOR_ALL, Tally } from "./tally.ts";
import { fromWire, lineOf, type WireSpec } from "./wire.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** Shrinking takes a minute at worst; the first failures tell most. */
const SHRUNK_MAX = 3;
const DAY_MS = 86_400_000;

/** Plays one seed whole; true: it went well. */
async function replay(spec: RunSpec): Promise<boolean> {
  const once = (each: RunSpec) => within((surroundings) => play(each, surroundings));
  const first = await once(spec);
  if (first.failures.length === 0) {
    console.log(first.history.map(lineOf).join("\n"));
    const excused = (100 * first.excusedMs / Math.max(1, first.dataMs)).toFixed(1);
    console.log(`seed ${spec.seed}: all went well; faults: ${JSON.stringify(first.struck)}`);
    console.log(`excused: ${excused} % of the time in which pods had data`);
    return true;
  }
  const { spec: least, result, runs } = await shrink(spec, first, once);
  console.log(`seed ${spec.seed} fails; the shortest history found in ${runs} runs:`);
  console.log(result.history.map(lineOf).join("\n"));
  console.log(`faults: ${JSON.stringify(result.struck)}`);
  for (const failure of result.failures) console.log(`  ${failure}`);
  console.log(`the end of its log:\n${result.log.slice(-40).join("")}`);
  const kinds = result.kinds.filter((kind) => least.faults.has(kind)).join(",") || "none";
  const without = least.without.size === 0 ? "" : ` --without ${[...least.without].join(",")}`;
  console.log(`again: deno task sim --seed ${spec.seed} --faults ${kinds}${without}`);
  return false;
}

/** What nobody chose is printed, so that each can be played again whatever becomes of this process. */
function seedsOf({ seeds, fresh, json }: Options): string[] {
  const drawn = [...crypto.getRandomValues(new Uint32Array(fresh))].map((number) => `fresh-${number}`);
  if (drawn.length > 0 && !json) console.log(`fresh seeds: ${drawn.join(" ")}`);
  return [...Array.from({ length: seeds }, (_, index) => `${index + 1}`), ...drawn];
}

async function playMany(options: Options, signal: AbortSignal): Promise<Tally> {
  const tally = new Tally();
  const queue = seedsOf(options);
  const endMs = options.minutes === null ? Infinity : performance.now() + options.minutes * 60_000;
  const next = (): WireSpec | null => {
    const seed = performance.now() < endMs ? queue.shift() : undefined;
    return seed === undefined ? null : { seed, faults: options.faults, without: [] };
  };
  await playAll({ workers: options.workers, root: ROOT, signal }, next, (result) => {
    tally.add(result);
    if (result.failures.length === 0) return;
    const faults = options.faults.length === FAULT_KINDS.length
      ? ""
      : ` --faults ${options.faults.join(",") || "none"}`;
    console.error(`seed ${result.seed} fails: ${result.failures[0]}`);
    console.error(`again: deno task sim --seed ${result.seed}${faults}`);
  });
  return tally;
}

function report(tally: Tally, seconds: number, json: boolean): void {
  const days = tally.simulatedMs / DAY_MS;
  if (json) {
    const { runs, permits, messages, dataMs, excusedMs, excusedMost, failed, struck, transitions } = tally;
    console.log(JSON.stringify({
      ...{ runs, permits, messages, seconds, simulatedDays: days, failed, dataMs, excusedMs, excusedMost },
      struck: Object.fromEntries(struck),
      transitions: Object.fromEntries(transitions),
    }));
    return;
  }
  for (const line of tally.lines()) console.log(line);
  console.log(
    `${tally.runs} runs, ${tally.permits} permits, ${tally.messages} messages, ${
      days.toFixed(1)
    } simulated days ` +
      `in ${seconds.toFixed(0)} s: ${(days / seconds).toFixed(2)} days per second`,
  );
}

async function run(options: Options): Promise<number> {
  if (options.replay !== null) {
    return await replay(fromWire({ ...options.replay, faults: options.faults })) ? 0 : 1;
  }
  const interrupted = new AbortController();
  Deno.addSignalListener("SIGINT", () => interrupted.abort());
  const begun = performance.now();
  const tally = await playMany(options, interrupted.signal);
  report(tally, (performance.now() - begun) / 1000, options.json);
  for (const { seed } of options.json ? [] : tally.failed.slice(0, SHRUNK_MAX)) {
    await replay({ seed, faults: new Set(options.faults), without: new Set() });
  }
  const isAll = options.faults.length === FAULT_KINDS.length;
  const missing = isAll ? tally.missing() : [];
  if (tally.isWhole) {
    for (const what of missing) console.error(`never happened in ${tally.runs} runs: ${what}`);
  } else if (missing.length > 0 && !options.json) {
    console.log(`did not happen, asserted only with the seeds 1 to ${RUNS_FOR_ALL}: ${missing.join(", ")}`);
  }
  console.log(`${tally.runs - tally.failed.length} passed, ${tally.failed.length} failed`);
  return tally.failed.length + (tally.isWhole ? missing.length : 0) === 0 && !interrupted.signal.aborted
    ? 0
    : 1;
}

if (Deno.args[0] === "--planted") await import("./planted_main.ts");
if (Deno.args[0] === "--crashes") await import("./crashes_main.ts");
if (Deno.args.some((arg) => arg === "--help" || arg === "-h")) {
  console.log(USAGE);
  Deno.exit(0);
}
let options: Options;
try {
  options = readOptions(Deno.args, navigator.hardwareConcurrency);
} catch (thrown) {
  console.error(thrown instanceof Error ? thrown.message : thrown);
  Deno.exit(2);
}
Deno.exit(await run(options));
