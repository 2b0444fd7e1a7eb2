// deno task sim --planted: writes each bug into a copy of the sources, and lets the simulation find it. Ends the process.
import { FAULT_KINDS } from "./faults.ts";
import { hunt, type Verdict } from "./plant.ts";
import { PLANTED } from "./planted.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** More than any of them needs. */
const SEEDS_MAX = 150;

const [count] = Deno.args.flatMap((arg) => arg.match(/^--workers=(\d+)$/)?.[1] ?? []);
const wanted = Deno.args.filter((arg) => !arg.startsWith("--"));
const bugs = PLANTED.filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
const seeds = Array.from({ length: SEEDS_MAX }, (_, index) => `${index + 1}`);
const workers = Number(count ?? navigator.hardwareConcurrency);
const verdicts: Verdict[] = [];
let errors = 0;
for (const bug of bugs) {
  let verdict: Verdict;
  try {
    verdict = await hunt(bug, seeds, { root: ROOT, workers, faults: FAULT_KINDS });
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    errors++;
    continue;
  }
  verdicts.push(verdict);
  const { name, caught, seconds, otherwise } = verdict;
  const how = caught !== null
    ? `seed ${caught.seed}: ${caught.failure.slice(0, 110)}`
    : `NOT CAUGHT${otherwise > 0 ? `, though ${otherwise} seeds failed in another way` : ""}`;
  console.log(
    `${name.padEnd(62)} ${`${verdict.seeds}`.padStart(3)} seeds ${seconds.toFixed(0).padStart(3)} s  ${how}`,
  );
}
const caught = verdicts.filter((verdict) => verdict.caught !== null);
console.log(
  `${caught.length} of ${bugs.length} planted bugs caught${
    errors > 0 ? `, ${errors} could not be hunted` : ""
  }`,
);
Deno.exit(caught.length === bugs.length ? 0 : 1);
