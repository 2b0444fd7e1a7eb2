import assert from "node:assert/strict";
import { readOptions } from "./options.ts";

Deno.test("readOptions: defaults, order of tiers, refusals", () => {
  assert.deepEqual(readOptions([], 7), { tiers: ["ok", "service", "real"], filter: undefined, seed: 7 });
  const given = readOptions(["--tier", "real", "--tier=ok", "--filter", "a=b", "--seed=12"], 7);
  assert.deepEqual(given, { tiers: ["ok", "real"], filter: "a=b", seed: 12 });
  const refused: Array<[string[], RegExp, string]> = [
    [["--tier"], /--tier needs a value/, "a value is missing"],
    [["--tier", "fast"], /Unknown tier fast/, "no such tier"],
    [["--seed", "x"], /Unknown option --seed x/, "a seed is a number"],
    [["--quick", "1"], /Unknown option --quick/, "a misspelt option must not run everything silently"],
  ];
  for (const [args, message, reason] of refused) assert.throws(() => readOptions(args, 7), message, reason);
});
