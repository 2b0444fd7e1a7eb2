import assert from "node:assert/strict";
import type { LeftOut } from "../cluster/availability.ts";
import { DRIVER_CASES } from "./driver_suite.ts";
import { lackOf, type Lacks, reportLeftOutCases } from "./left_out.ts";

const LACKS: Lacks = {
  loseNode: { what: "a node that may be lost", why: "the only one is everybody's", remedy: "Add one" },
  files: { what: "the node's files", why: "they are out of reach", remedy: "Use tests/cluster" },
};

Deno.test("reportLeftOutCases: whatever is not run is told by name, and nothing else is", () => {
  const told: LeftOut[] = [];
  reportLeftOutCases("x", DRIVER_CASES, LACKS, (leftOut) => told.push(leftOut));
  const leftOut = DRIVER_CASES.filter((given) => lackOf(given, LACKS) !== undefined);
  assert.ok(leftOut.length > 2 && leftOut.length < DRIVER_CASES.length);
  assert.deepEqual(
    told.flatMap(({ cases }) => cases ?? []).sort(),
    leftOut.map(({ name }) => `x: ${name}`).sort(),
  );
  for (const { component, why, remedy } of told) {
    assert.ok(
      Object.values(LACKS).some((lack) =>
        lack.what === component && lack.why === why && lack.remedy === remedy
      ),
    );
  }
});

Deno.test("reportLeftOutCases: a platform that lacks nothing leaves nothing out", () => {
  reportLeftOutCases("x", DRIVER_CASES, {}, ({ cases }) => assert.fail(`${cases}`));
  assert.deepEqual(DRIVER_CASES.filter((given) => lackOf(given, {}) !== undefined), []);
});
