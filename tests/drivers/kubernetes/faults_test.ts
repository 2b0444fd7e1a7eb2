import assert from "node:assert/strict";
import type { Disposition, Reason } from "../../../src/core/fault.ts";
import {
  type Asked,
  FAULT_ROWS,
  faultOfAbort,
  faultOfAnswer,
  faultOfConnection,
  faultOfTimeout,
} from "../../../src/drivers/kubernetes/faults.ts";
import { readAnswer } from "../../../src/drivers/kubernetes/status.ts";

const ASKED: Asked = {
  verb: "patch",
  resource: "statefulsets",
  target: "StatefulSet wps-p7/research-a",
  secret: false,
};

interface Case {
  why: string;
  /** Index of the row of FAULT_ROWS that must decide. */
  row: number;
  code: number;
  reason: string;
  message: string;
  causes?: { reason?: string; field?: string }[];
  expected: [Disposition, Reason];
  advice?: RegExp;
}

/** Messages as Kubernetes 1.36 words them. */
const CASES: Case[] = [
  {
    why: "an expired token, refused again after it was read again",
    row: 0,
    code: 401,
    reason: "Unauthorized",
    message: "Unauthorized",
    expected: ["retry", "denied"],
    advice: /token or certificate/,
  },
  {
    why: "a namespace that is going away",
    row: 1,
    code: 403,
    reason: "Forbidden",
    message:
      'secrets "a" is forbidden: unable to create new content in namespace wps-p7 because it is being terminated',
    causes: [{ reason: "NamespaceTerminating", field: "metadata.namespace" }],
    expected: ["wait", "terminating"],
  },
  {
    why: "an object of that name on its way out",
    row: 2,
    code: 409,
    reason: "AlreadyExists",
    message: 'object is being deleted: persistentvolumeclaims "vol-raw" already exists',
    expected: ["wait", "terminating"],
  },
  {
    why: "a quota used up is waited for by name",
    row: 3,
    code: 403,
    reason: "Forbidden",
    message:
      'services "a" is forbidden: exceeded quota: wps-quota, requested: services=1, used: services=18, limited: services=18',
    expected: ["wait", "quota-exceeded"],
    advice: /quota/,
  },
  {
    why: "Pod Security is no lack of rights",
    row: 4,
    code: 403,
    reason: "Forbidden",
    message:
      'pods "a" is forbidden: violates PodSecurity "restricted:v1.36": allowPrivilegeEscalation != false',
    expected: ["stalled", "policy-refused"],
  },
  {
    why: "a ValidatingAdmissionPolicy answers 422",
    row: 4,
    code: 422,
    reason: "Invalid",
    message:
      "namespaces \"x\" is forbidden: ValidatingAdmissionPolicy 'wps-confinement' with binding 'wps-confinement' denied request: no",
    expected: ["stalled", "policy-refused"],
  },
  {
    why: "a webhook chooses its own status",
    row: 4,
    code: 400,
    reason: "BadRequest",
    message: 'admission webhook "images.site" denied the request: unsigned image',
    expected: ["stalled", "policy-refused"],
  },
  {
    why: "a LimitRange of the site",
    row: 4,
    code: 403,
    reason: "Forbidden",
    message: 'pods "a" is forbidden: maximum cpu usage per Container is 2, but limit is 4',
    expected: ["stalled", "policy-refused"],
  },
  {
    why: "RBAC: the advice names verb and resource",
    row: 5,
    code: 403,
    reason: "Forbidden",
    message:
      'statefulsets.apps "a" is forbidden: User "system:serviceaccount:wps:wps" cannot patch resource "statefulsets"',
    expected: ["stalled", "denied"],
    advice: /verb patch on statefulsets/,
  },
  {
    why: "the namespace is gone",
    row: 6,
    code: 404,
    reason: "NotFound",
    message: 'namespaces "wps-p7" not found',
    expected: ["retry", "not-found"],
  },
  {
    why: "the uid that was seen belongs to another object",
    row: 7,
    code: 422,
    reason: "Invalid",
    message: 'StatefulSet "a" is invalid: metadata.uid: Invalid value: "1": field is immutable',
    causes: [{ reason: "FieldValueInvalid", field: "metadata.uid" }],
    expected: ["retry", "conflict"],
  },
  {
    why: "a rival write",
    row: 8,
    code: 409,
    reason: "Conflict",
    message: 'Operation cannot be fulfilled on statefulsets.apps "a": the object has been modified',
    expected: ["retry", "conflict"],
  },
  {
    why: "it exists already",
    row: 8,
    code: 409,
    reason: "AlreadyExists",
    message: 'statefulsets.apps "a" already exists',
    expected: ["retry", "conflict"],
  },
  {
    why: "a list's continuation that expired",
    row: 9,
    code: 410,
    reason: "Expired",
    message: "The provided continue parameter is too old",
    expected: ["retry", "conflict"],
  },
  {
    why: "an invalid object stays invalid",
    row: 10,
    code: 422,
    reason: "Invalid",
    message:
      'StatefulSet "a" is invalid: spec: Forbidden: updates to statefulset spec for fields other than …',
    expected: ["stalled", "invalid"],
  },
  {
    why: "a malformed request",
    row: 10,
    code: 400,
    reason: "BadRequest",
    message: "bad",
    expected: ["stalled", "invalid"],
  },
  {
    why: "too large for etcd",
    row: 10,
    code: 413,
    reason: "RequestEntityTooLarge",
    message: "limit is 3145728",
    expected: ["stalled", "invalid"],
  },
  {
    why: "API priority and fairness sheds load",
    row: 11,
    code: 429,
    reason: "TooManyRequests",
    message: "Too many requests, please try again later.",
    expected: ["retry", "throttled"],
  },
  {
    why: "a webhook that does not answer",
    row: 12,
    code: 500,
    reason: "InternalError",
    message: 'Internal error occurred: failed calling webhook "a": context deadline exceeded',
    expected: ["retry", "unavailable"],
  },
  {
    why: "no leader in etcd",
    row: 12,
    code: 503,
    reason: "ServiceUnavailable",
    message: "etcdserver: no leader",
    expected: ["retry", "unavailable"],
  },
  {
    why: "slow etcd",
    row: 12,
    code: 504,
    reason: "Timeout",
    message: "request timed out",
    expected: ["retry", "unavailable"],
  },
];

for (const { why, row, code, reason, message, causes = [], expected, advice } of CASES) {
  Deno.test(`faultOfAnswer: ${code} ${reason} is ${expected.join(" ")}: ${why}`, () => {
    const body = JSON.stringify({ kind: "Status", code, reason, message, details: { causes } });
    const answer = readAnswer(code, body, null);
    assert.equal(FAULT_ROWS.findIndex(({ when }) => when(answer)), row, "another row decides");
    const fault = faultOfAnswer(ASKED, answer);
    assert.deepEqual([fault.disposition, fault.reason], expected);
    assert.equal(fault.message, `Cannot patch StatefulSet wps-p7/research-a: ${message}`);
    assert.equal(fault.target, ASKED.target);
    assert.ok(fault.advice !== null && fault.advice.length > 0, "it says what to do");
    if (advice !== undefined) assert.match(fault.advice, advice);
  });
}

Deno.test("FAULT_ROWS: each row has a case, so that none decides unseen", () => {
  const seen = new Set(CASES.map(({ row }) => row));
  assert.deepEqual(FAULT_ROWS.filter((_row, index) => !seen.has(index)).map(({ means }) => means), []);
});

Deno.test("faultOfAnswer: a status that nobody knows is a retry", () => {
  const fault = faultOfAnswer(ASKED, readAnswer(302, "<html>Log in</html>", null));
  assert.deepEqual([fault.disposition, fault.reason, fault.message], [
    "retry",
    "internal",
    "Cannot patch StatefulSet wps-p7/research-a: HTTP 302",
  ]);
});

Deno.test("readAnswer: the header Retry-After counts before the body's, and neither without bound", () => {
  const body = JSON.stringify({ kind: "Status", details: { retryAfterSeconds: 2 } });
  assert.equal(readAnswer(429, body, null).retryAfterMs, 2_000);
  assert.equal(readAnswer(429, body, "7").retryAfterMs, 7_000);
  assert.equal(readAnswer(429, body, "999999").retryAfterMs, 300_000);
  assert.equal(readAnswer(429, "", null).retryAfterMs, null);
  assert.equal(faultOfAnswer(ASKED, readAnswer(429, body, null)).retryAfterMs, 2_000);
});

Deno.test("faultOfAnswer: what the server says of a Secret is not repeated", () => {
  const body = JSON.stringify({
    kind: "Status",
    reason: "Invalid",
    message: 'Secret is invalid: data[password]: Invalid value: "hunter2"',
    details: { causes: [{ reason: "FieldValueInvalid", field: "data[password]" }] },
  });
  const fault = faultOfAnswer({ ...ASKED, target: "Secret a", secret: true }, readAnswer(422, body, null));
  assert.equal(fault.message, "Cannot patch Secret a: Invalid, FieldValueInvalid at data[password]");
});

Deno.test("faultOfTimeout, faultOfConnection, faultOfAbort: retry, retry with what helps, cancelled", () => {
  const late = faultOfTimeout(ASKED, 500);
  assert.deepEqual([late.disposition, late.reason], ["retry", "timeout"]);
  assert.match(late.message, /within 500 ms/);
  const refused = faultOfConnection(
    ASKED,
    new TypeError("error sending request for url (https://x/): tcp connect error", {
      cause: new Error("Connection refused"),
    }),
  );
  assert.deepEqual([refused.disposition, refused.reason], ["retry", "unavailable"]);
  assert.equal(
    refused.message,
    "Cannot patch StatefulSet wps-p7/research-a: tcp connect error: Connection refused",
  );
  assert.match(
    faultOfConnection(ASKED, new Error("invalid peer certificate: UnknownIssuer")).advice ?? "",
    /certificate authority/,
  );
  const given = faultOfAbort(ASKED);
  assert.deepEqual([given.disposition, given.reason], ["cancelled", "cancelled"]);
});
