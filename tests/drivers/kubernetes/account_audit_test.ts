import assert from "node:assert/strict";
import type { AuditEntry } from "../../cluster/harness.ts";
import { entriesOf, refusals, usedRules } from "../../real/kubernetes/account.ts";

/** One line of the audit log; `at` is a second of one minute, in which it is answered as well. */
function entry(at: number, verb: string, resource: string, code: number, place: object = {}): AuditEntry {
  const second = `2026-11-23T04:00:${String(at).padStart(2, "0")}`;
  return {
    verb,
    requestURI: `/${resource}`,
    user: { username: "wps", extra: { "authentication.kubernetes.io/credential-id": ["JTI=mine"] } },
    objectRef: { resource, ...place },
    responseStatus: { code },
    stage: "ResponseComplete",
    requestReceivedTimestamp: `${second}.000000Z`,
    stageTimestamp: `${second}.500000Z`,
  };
}

const A = { namespace: "wps-a" }, B = { namespace: "wps-b" };

Deno.test("refusals: of Secrets only what a binding that is not there yet, or gone, explains", () => {
  const cases: [why: string, entries: AuditEntry[], left: number][] = [
    ["the binding is known a moment later", [
      entry(1, "list", "secrets", 403, A),
      entry(2, "patch", "secrets", 403, A),
      entry(3, "patch", "secrets", 201, A),
      entry(4, "list", "secrets", 200, A),
    ], 0],
    ["a verb that the role lacks, hidden by a driver that takes a refusal for absence", [
      entry(1, "list", "secrets", 403, A),
      entry(2, "patch", "secrets", 201, A),
      entry(3, "list", "secrets", 403, A),
    ], 2],
    ["a refusal after the binding was known", [
      entry(1, "list", "secrets", 200, A),
      entry(2, "list", "secrets", 403, A),
      entry(3, "list", "secrets", 200, A),
    ], 1],
    ["the namespace goes, and the binding with it", [
      entry(1, "list", "secrets", 200, A),
      entry(2, "delete", "namespaces", 200, { name: "wps-a" }),
      entry(3, "list", "secrets", 403, A),
    ], 0],
    ["another namespace goes", [
      entry(1, "list", "secrets", 200, A),
      entry(2, "delete", "namespaces", 200, { name: "wps-b" }),
      entry(3, "list", "secrets", 403, A),
    ], 1],
    ["a namespace in which the role is never bound", [
      entry(1, "list", "secrets", 200, A),
      entry(2, "list", "secrets", 403, B),
    ], 1],
    [
      "Secrets of the whole cluster",
      [entry(1, "list", "secrets", 403), entry(2, "list", "secrets", 200, A)],
      1,
    ],
    ["anything else", [entry(1, "get", "pods", 403, A), entry(2, "get", "pods", 200, A)], 1],
    ["what must be refused", [entry(1, "create", "pods", 403, { name: "not-of-wps-self-check" })], 0],
  ];
  for (const [why, entries, left] of cases) assert.equal(refusals(entries).length, left, why);
});

Deno.test("usedRules: what was granted; an absence and a conflict are said after that", () => {
  const entries = [
    entry(1, "patch", "services", 201, A),
    entry(2, "get", "pods", 404, A),
    entry(3, "delete", "pods", 409, A),
    entry(4, "update", "pods", 403, A),
    entry(5, "watch", "pods", 429, A),
  ];
  assert.deepEqual(usedRules(entries), ["/pods delete", "/pods get", "/services create", "/services patch"]);
});

Deno.test("entriesOf: only of that token, whoever else has one of the same account", () => {
  const entries = [entry(1, "get", "pods", 200, A)];
  assert.equal(entriesOf({ credential: "JTI=mine" }, entries).length, 1);
  assert.equal(entriesOf({ credential: "JTI=theirs" }, entries).length, 0);
});
