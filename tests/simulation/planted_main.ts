// deno task sim --planted: writes each bug into a copy of the sources, and lets the simulation find it. Ends the process.
import { FAULT_KINDS } from "./faults.ts";
import { hunt, type Verdict } from "./plant.ts";
import { PLANTED } from "./planted.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** More than any of them needs. */
const SEEDS_MAX = 150;

const wanted = Deno.args.filter((arg) => !arg.startsWith("--"));
const bugs = PLANTED.filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
const seeds = Array.from({ length: SEEDS_MAX }, (_, index) => `${index + 1}`);
const workers = navigator.hardwareConcurrency;
const verdicts: Verdict[] = [];
for (const bug of bugs) {
  const verdict = await hunt(bug, seeds, { root: ROOT, workers, faults: FAULT_KINDS });
  verdicts.push(verdict);
  const { name, caught, seconds } = verdict;
  const how = caught === null ? "NOT CAUGHT" : `seed ${caught.seed}: ${caught.failure.slice(0, 110)}`;
  console.log(
    `${name.padEnd(58)} ${`${verdict.seeds}`.padStart(3)} seeds ${seconds.toFixed(0).padStart(3)} s  ${how}`,
  );
}
const caught = verdicts.filter((verdict) => verdict.caught !== null);
console.log(`${caught.length} of ${verdicts.length} planted bugs caught`);
Deno.exit(caught.length === verdicts.length ? 0 : 1);
