import assert from "node:assert/strict";
import { countReport, sum } from "./tally.ts";

const report = (cases: string): string =>
  `<?xml version="1.0"?><testsuites><testsuite>${cases}</testsuite></testsuites>`;
const passed = '<testcase name="a" time="0.1">\n</testcase>';
const failed = '<testcase name="b &gt; c"><failure message="x">Error: &lt;testcase&gt;</failure></testcase>';
const errored = '<testcase name="d">\n<error message="Cancelled"/>\n</testcase>';
const skipped = '<testcase name="e">\n<skipped/>\n</testcase>';

Deno.test("countReport: cases by their ends", () => {
  const cases: Array<[string, string | undefined, boolean, [number, number, number], string]> = [
    ["all passed", report(passed + passed), true, [2, 0, 0], "each case counts"],
    ["failures and errors", report(passed + failed + errored), false, [1, 2, 0], "an error is a failure too"],
    ["skipped", report(passed + skipped), true, [1, 0, 1], "left out is neither"],
    ["a module that threw", report(passed), false, [1, 1, 0], "no case names it, yet the run failed"],
    ["no report", undefined, false, [0, 1, 0], "a crash writes none"],
    ["no tests", report(""), true, [0, 0, 0], "nothing ran"],
  ];
  for (const [name, xml, succeeded, [ok, bad, left], reason] of cases) {
    assert.deepEqual(
      countReport(xml, succeeded),
      { passed: ok, failed: bad, skipped: left },
      `${name}: ${reason}`,
    );
  }
});

Deno.test("sum: adds each part", () => {
  const count = { passed: 1, failed: 2, skipped: 3 };
  assert.deepEqual(sum([count, count]), { passed: 2, failed: 4, skipped: 6 });
  assert.deepEqual(sum([]), { passed: 0, failed: 0, skipped: 0 });
});
