import assert from "node:assert/strict";
import { dealt, writeShards } from "./shards.ts";

Deno.test("dealt: every file once, in shares of about one size, none of them empty", () => {
  const cases: [why: string, files: string[], count: number, expected: string[][]][] = [
    ["neighbours apart", ["a", "b", "c", "d", "e"], 2, [["a", "c", "e"], ["b", "d"]]],
    ["fewer files than shares", ["a"], 3, [["a"]]],
    ["no files", [], 2, []],
  ];
  for (const [why, files, count, expected] of cases) assert.deepEqual(dealt(files, count), expected, why);
});

Deno.test("writeShards: modules that load the files, gone afterwards", async () => {
  let written: string[];
  {
    await using shards = await writeShards(["tests/run/shards.ts", "tests/run/tally.ts"], 2);
    written = shards.paths;
    assert.deepEqual(written.map((path) => path.split("/").at(-1)), ["shard_1_test.ts", "shard_2_test.ts"]);
    for (const path of written) await import(`file://${path}`);
  }
  for (const path of written) await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});
