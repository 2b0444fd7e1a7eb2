import assert from "node:assert/strict";
import { readDocLint } from "./docs.ts";

const source = ["export interface A {", "  field: string;", "}", "export const b = 1;"];
const finding = (rule: string, line: number, column: number): string =>
  `error[${rule}]: text\n  --> /x/a.ts:${line}:${column}\n   | \n${line} | code\n\n`;

Deno.test("readDocLint: exports without a comment, and nothing else", () => {
  const cases: Array<[string, number[] | undefined, string]> = [
    [finding("missing-jsdoc", 1, 1), [1], "an exported type"],
    [finding("missing-jsdoc", 4, 14), [4], "an exported value, whose finding is at its name"],
    [finding("missing-jsdoc", 2, 3), [], "a field speaks for itself"],
    [finding("private-type-ref", 4, 14), [], "a rule for packages"],
    [finding("missing-jsdoc", 2, 3) + finding("missing-jsdoc", 1, 1), [1], "one among many"],
    ["error: The module's source code could not be parsed", undefined, "a crash says nothing about comments"],
  ];
  for (const [output, lines, reason] of cases) {
    const found = readDocLint(output, (_file, line) => source[line - 1] ?? "");
    assert.deepEqual(found?.map(({ line }) => line), lines, reason);
  }
});
