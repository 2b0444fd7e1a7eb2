import assert from "node:assert/strict";
import { didYouMean, nearest } from "../../src/config/nearest.ts";

Deno.test("nearest: the known word that was probably meant", () => {
  const known = ["prepared", "project", "raw", "outputs", "home", "staff-home"];
  const cases: [typed: string, expected: string | null, why: string][] = [
    ["prepard", "prepared", "a letter lost"],
    ["preprared", "prepared", "a letter too many"],
    ["ouptuts", "outputs", "two letters swapped"],
    ["projekt", "project", "a wrong letter"],
    ["Home", "home", "another case"],
    ["row", "raw", "one letter of three"],
    ["staffhome", "staff-home", "a dash lost"],
    ["prep", "prepared", "a beginning"],
    ["secrets", null, "nothing near"],
    ["xyz", null, "all letters wrong"],
    ["", null, "nothing typed"],
  ];
  for (const [typed, expected, why] of cases) assert.equal(nearest(typed, known), expected, why);
});

Deno.test("nearest: the nearest of several", () => {
  assert.equal(nearest("gones", ["ones", "gone", "stones"]), "ones");
  assert.equal(nearest("redi", ["read", "redis"]), "redis");
});

Deno.test("didYouMean: the end of a sentence, or nothing", () => {
  assert.equal(didYouMean("rwa", ["raw"]), '; did you mean "raw"?');
  assert.equal(didYouMean("zzz", ["raw"]), "");
});

Deno.test("nearest: a very long word costs little", () => {
  assert.equal(nearest("x".repeat(1_000_000), ["raw", "y".repeat(1000)]), null);
});
