import assert from "node:assert/strict";
import fc from "fast-check";
import { permitName, taskName, volumeName, workspaceName } from "../../src/core/names.ts";

/** RFC 1123, section 2.1, as Kubernetes reads it. */
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const NAMES: { of: string; name: (text: string) => string; max: number; begins: RegExp }[] = [
  { of: "permitName", name: permitName, max: 63, begins: /^wps-/ },
  { of: "volumeName", name: volumeName, max: 63, begins: /^vol-/ },
  { of: "taskName", name: taskName, max: 52, begins: /^consolidate-/ },
  // A kind begins with a letter (phases/schema.ts), and so does the name: a Service's must (RFC 1035).
  { of: "workspaceName", name: (text) => workspaceName(`research/${text}`), max: 52, begins: /^research-/ },
];

for (const { of, name, max, begins } of NAMES) {
  Deno.test(`${of}: whatever the text, a legal label, readable at its beginning and not too long`, () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      const label = name(text);
      assert.match(label, LABEL);
      assert.match(label, begins);
      assert.ok(label.length <= max, `${label}: ${label.length}`);
      assert.equal(name(text), label, "equal text gives equal names");
    }));
  });

  Deno.test(`${of}: texts that look alike give different names`, () => {
    const alike = [
      "Permit 001",
      "permit 001",
      "permit-001",
      "permit--001",
      "permit_001",
      "permit/001",
      " permit-001",
      "permit-001 ",
      "pérmit-001",
      "permit-00１",
      "",
      "-",
      "permit-001".repeat(30),
      `${"permit-001".repeat(30)}x`,
    ];
    assert.equal(new Set(alike.map(name)).size, alike.length);
  });
}

Deno.test("names: are what operators search for, and stay so over versions", () => {
  // A change here orphans every object that an earlier version made.
  assert.deepEqual(
    [
      permitName("permit-001"),
      permitName("Études/2026 №7"),
      permitName("患者データ"),
      volumeName("home/j.virtanen@2"),
      taskName("uploads/hospital-a"),
      workspaceName("research/j.virtanen"),
      workspaceName("airlock/hospital-a"),
    ],
    [
      "wps-permit-001-7f20bd1d2752",
      "wps-e-tudes-2026-no7-ed722f25b020",
      "wps-31a5dffbed10",
      "vol-home-j-virtanen-2-51e14b2cf67b",
      "consolidate-uploads-hospital-a-44c1cf54fe96",
      "research-j-virtanen-6a73fdc32951",
      "airlock-hospital-a-ba172adfd78e",
    ],
  );
});
