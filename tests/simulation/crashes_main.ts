// deno task sim --crashes: a crash at each point, once. Ends the process.
import { parseArgs } from "node:util";
import { linesOf } from "../../src/drivers/kubernetes/watch.ts";
import {
  type CrashPlan,
  type CrashResult,
  gapsOf,
  playCrash,
  pointsOf,
  SITUATIONS,
  TURNS,
} from "./crashes.ts";
import { makeFolder, within } from "./surroundings.ts";

/** With --every, each pair begins elsewhere: together they try all kinds of points. A prime, so that none repeats soon. */
const SPREAD = 37;
/** Failures that are told whole. */
const TOLD_MAX = 10;

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    every: { type: "string", default: "1" },
    offset: { type: "string", default: "0" },
    workers: { type: "string", default: `${navigator.hardwareConcurrency}` },
    shard: { type: "string" },
    folder: { type: "string" },
    crashes: { type: "boolean" },
  },
});
const [every, offset, workers] = [values.every, values.offset, values.workers].map(Number) as [
  number,
  number,
  number,
];
const [situation, turn] = positionals.join(" ").split(" > ");
const pairs = Object.keys(SITUATIONS).flatMap((from) => TURNS.map((to) => ({ from, to })))
  .filter(({ from, to }) => (!situation || from === situation) && (!turn || to === turn));
const plans = pairs.map(({ from, to }, nth): CrashPlan => ({
  situation: from,
  turn: to,
  tried: (points) => pointsOf(points, every, offset + nth * SPREAD),
}));

const play = (from: string, to: string, at: number | null): Promise<CrashResult> =>
  within((surroundings) => playCrash({ situation: from, turn: to, at }, surroundings), values.folder);

/** This process's part of the pairs, a line of JSON for each run. */
async function shard(index: number, of: number): Promise<void> {
  for (const [nth, { situation, turn, tried }] of plans.entries()) {
    if (nth % of !== index) continue;
    const without = await play(situation, turn, null);
    console.log(JSON.stringify(without));
    for (const at of tried(without.points)) console.log(JSON.stringify(await play(situation, turn, at)));
  }
}

async function collect(index: number, told: (result: CrashResult) => void): Promise<boolean> {
  const folder = await makeFolder();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      new URL(import.meta.url).pathname,
      ...Deno.args,
      "--shard",
      `${index}/${workers}`,
      "--folder",
      folder,
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    for await (const line of linesOf(child.stdout, () => {})) told(JSON.parse(line));
    return (await child.status).success;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (values.shard !== undefined) {
  const [index, of] = values.shard.split("/").map(Number) as [number, number];
  await shard(index, of);
  Deno.exit(0);
}
const begun = performance.now();
const results: CrashResult[] = [];
const ended = await Promise.all(
  Array.from({ length: workers }, (_, index) => collect(index, (result) => results.push(result))),
);
const crashed = results.filter(({ died }) => died !== null);
const failed = results.filter(({ failures }) => failures.length > 0);
const seconds = (performance.now() - begun) / 1000;
for (const { situation, turn, at, died, failures } of failed.slice(0, TOLD_MAX)) {
  console.error(
    `${situation} > ${turn}, ${at === null ? "no crash" : `point ${at}, ${died}`}: ${failures[0]}`,
  );
}
const points = results.filter(({ at }) => at === null).reduce((sum, result) => sum + result.points, 0);
console.log(
  `${crashed.length} crashes at ${points} points of ${pairs.length} pairs of situation and turn, in ${
    seconds.toFixed(0)
  } s`,
);
const gaps = gapsOf(plans, results);
for (const gap of gaps.slice(0, TOLD_MAX)) console.error(`not tried: ${gap}`);
if (crashed.length === 0) {
  const why = plans.length === 0
    ? `there is no pair ${positionals.join(" ")}`
    : `--every ${every} leaves none`;
  console.error(`not tried: any point at all: ${why}`);
}
if (gaps.length > TOLD_MAX) console.error(`not tried: ${gaps.length - TOLD_MAX} more`);
console.log(`${results.length - failed.length} passed, ${failed.length} failed, ${gaps.length} not tried`);
Deno.exit(
  failed.length + gaps.length === 0 && crashed.length > 0 && ended.every((success) => success) ? 0 : 1,
);
