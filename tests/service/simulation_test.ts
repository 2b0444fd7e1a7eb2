import assert from "node:assert/strict";
import { FAULT_KINDS } from "../simulation/faults.ts";
import { planted } from "../simulation/plant.ts";
import { PLANTED } from "../simulation/planted.ts";
import { play } from "../simulation/run.ts";
import { within } from "../simulation/surroundings.ts";
import { rootFolder } from "../run/sources.ts";

/** Seeds in which everything happens that can happen. */
const SEEDS = 150;

/** Of all points at which the service can die, so many are left out between two that are tried here. */
const EVERY = 101;
/** Bugs that are found within a few seeds; `deno task sim --planted` looks for all. */
const QUICK_BUGS = ["gate forgotten", "opened although", "taint does not spread", "halt is overlooked"];

async function sim(...args: string[]): Promise<string> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "tests/simulation/main.ts", ...args],
    cwd: rootFolder(),
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(stdout);
  console.log(text);
  assert.equal(code, 0, "see above for what failed and how to play it again");
  return text;
}

Deno.test("simulation: every permit comes right whatever happened, and no instant breaks an invariant", async () => {
  await sim("--seeds", `${SEEDS}`);
});

Deno.test("simulation: a death of the service at any point of a turn changes nothing of its end", async () => {
  const text = await sim("--crashes", "--every", `${EVERY}`);
  assert.match(text, /^[1-9]\d+ crashes at/m);
});

Deno.test("simulation: every planted bug's text still stands where it is planted, once", async () => {
  assert.ok(PLANTED.length >= 25);
  for (const bug of PLANTED) planted(bug, await Deno.readTextFile(`${rootFolder()}${bug.file}`));
});

Deno.test("simulation: what is planted is found", async () => {
  await sim("--planted", ...QUICK_BUGS);
});

Deno.test("simulation: the same seed is the same run", async () => {
  const spec = { seed: "again", faults: new Set(FAULT_KINDS), without: new Set<string>() };
  const [one, other] = [
    await within((surroundings) => play(spec, surroundings)),
    await within((surroundings) => play(spec, surroundings)),
  ];
  // The folder's name is drawn by the machine.
  const told = (log: string[]): string[] => log.map((line) => line.replace(/wps-simulation-\w+/g, "FOLDER"));
  assert.deepEqual(told(other.log), told(one.log));
  assert.deepEqual([other.struck, other.simulatedMs], [one.struck, one.simulatedMs]);
  assert.ok(one.log.length > 20, "something happened");
});
