import assert from "node:assert/strict";
import { reasonText } from "../../src/cli/render/reason.ts";

Deno.test("reasonText: says which field is wrong in words, on one line", () => {
  const cases: [path: string, message: string, expected: string][] = [
    ["", "Revision 0 is older than 1", "Revision 0 is older than 1"],
    ["permitId", "is missing", "Permit id is missing"],
    [
      "type",
      "is given more than once; which of them counts is not said",
      "Type is given more than once; which of them counts is not said",
    ],
    ["data", 'expected an object, got "x"', 'Data: expected an object, got "x"'],
    ["data.status", "no phase is named X; known: A, B, C", "Status: no phase is named X"],
    ["data.expiresAt", "expected a date", "End date: expected a date"],
    [
      "data.researchers",
      "has 300 entries; at most 200 are accepted",
      "Researchers: has 300 entries; at most 200 are accepted",
    ],
    ["data.researchers[0].uid", "0 is below 1000", "Uid of researcher 1: 0 is below 1000"],
    [
      "data.setupReviewer.username",
      '"root" is a reserved name',
      'Username of setup reviewer: "root" is a reserved name',
    ],
    [
      "data.dataHolders[1].allowedCidrs[0]",
      "nobody connects from there",
      "Allowed address 1 of data holder 2: nobody connects from there",
    ],
    ["data.ethics.board[3]", "is given more than once", "Board[3] of ethics is given more than once"],
    ["data.__proto__", "is given more than once", "__proto__ is given more than once"],
  ];
  for (const [path, message, expected] of cases) {
    assert.equal(reasonText({ reasons: [{ path, message }] }), expected, path);
  }
  const two = [{ path: "id", message: "is empty" }, { path: "type", message: "is missing" }];
  assert.equal(reasonText({ reasons: two }), "Id is empty (and 1 more)");
  assert.equal(reasonText({ reasons: [] }), "");
});
