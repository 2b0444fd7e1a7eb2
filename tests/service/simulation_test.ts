import assert from "node:assert/strict";
import { FAULT_KINDS } from "../simulation/faults.ts";
import { play } from "../simulation/run.ts";
import { within } from "../simulation/surroundings.ts";
import { rootFolder } from "../run/sources.ts";

/** Seeds in which everything happens that can happen. */
const SEEDS = 150;

Deno.test("simulation: every permit comes right whatever happened, and no instant breaks an invariant", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "tests/simulation/main.ts",
      "--seeds",
      `${SEEDS}`,
    ],
    cwd: rootFolder(),
    stderr: "inherit",
  }).output();
  console.log(new TextDecoder().decode(stdout));
  assert.equal(code, 0, "see above for the seed and how to play it again");
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
