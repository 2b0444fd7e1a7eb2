import assert from "node:assert/strict";
import { describeLines, describePhase } from "../../src/phases/describe.ts";
import type { PhaseSet } from "../../src/core/phase.ts";
import { loadBuiltIn } from "./site.ts";

function show(phases: PhaseSet, name: string): string {
  const description = describePhase(phases, name);
  assert.ok(description, name);
  return describeLines(description).join("\n");
}

Deno.test("describeLines: a status says what exists, what is mounted how, and what happens", async () => {
  assert.equal(
    show(await loadBuiltIn(), "ANALYSIS_ACTIVE"),
    `ANALYSIS_ACTIVE: Analysis

The researchers analyse the prepared data, in isolation.

Workspaces
  research (one per researcher): running
    network  isolated: no way out, not even DNS; only the gateway reaches it
    access   rdp, port 3389
    mounts   /data/prepared    read-only   prepared, the permit's, sensitive
             /data/outputs     read-write  outputs, the permit's, sensitive
             /project          read-write  project, the permit's, sensitive from here on
             /home/{username}  read-write  home, their own, sensitive from here on

What happens
  - Airlocks are closed: cut off, then removed; what they took in is kept.
  - Workspaces that are not named above are cut off and removed; their volumes are kept.`,
  );
});

Deno.test("describeLines: each phase says what is peculiar to it", async (test) => {
  const phases = await loadBuiltIn();
  const cases: [name: string, says: RegExp, why: string][] = [
    ["AWAITING_INGRESS", /Airlocks that are open stay open/, "the one status that keeps ingress"],
    ["DATA_PREPARATION_PENDING", /Uploads are copied into raw and verified by checksum/, "consolidation"],
    ["DATA_PREPARATION_REVIEW_PENDING", /preprocessing \(the preprocessor\): stopped/, "stopped, not gone"],
    ["WORKSPACE_SETUP_PENDING", /home, their own, a fresh one once tainted/, "invariant 3"],
    [
      "WORKSPACE_SETUP_REVIEW_PENDING",
      /\/review\/\{owner\} +read-only +home, of each researcher/,
      "whose home",
    ],
    ["ARCHIVED", /retention clock starts/, "archive"],
    [
      "permit.ingress.initiated",
      /\/uploads\/\{holder\} +write-only +uploads, their own, sensitive/,
      "write-only",
    ],
    ["permit.ingress.initiated", /sftp, port 2222 from outside/, "where it is reached from"],
    ["permit.workspace.stop_requested", /Workspaces of kind research stop/, "which kinds"],
    [
      "permit.workspace.start_requested",
      /run again where the status runs them/,
      "never more than the status",
    ],
    ["permit.deleted", /Every volume is destroyed, and its absence is verified/, "deletion"],
  ];
  for (const [name, says, why] of cases) {
    await test.step(`${name}: ${why}`, () => assert.match(show(phases, name), says));
  }
});

Deno.test("describeLines: no line is wider than 100 columns", async () => {
  const phases = await loadBuiltIn();
  for (const name of [...phases.statuses.keys(), ...phases.events.keys()]) {
    for (const line of show(phases, name).split("\n")) {
      assert.ok(line.length <= 100, `${line.length}: ${line}`);
    }
  }
});

Deno.test("describePhase: the structure carries what machines need", async () => {
  const setup = describePhase(await loadBuiltIn(), "WORKSPACE_SETUP_PENDING");
  assert.deepEqual(setup?.workspaces[0]?.mounts, [
    {
      path: "/project",
      mode: "rw",
      access: "read-write",
      volume: "project",
      whose: "the permit's",
      sensitive: "fresh",
    },
    {
      path: "/home/{username}",
      mode: "rw",
      access: "read-write",
      volume: "home",
      whose: "their own",
      sensitive: "fresh",
    },
  ]);
  assert.deepEqual(setup && { kind: setup.kind, name: setup.name, network: setup.workspaces[0]?.network }, {
    kind: "status",
    name: "WORKSPACE_SETUP_PENDING",
    network: "proxied",
  });
});

Deno.test("describePhase: an unknown status is nothing", async () => {
  assert.equal(describePhase(await loadBuiltIn(), "ANALYSIS"), null);
});
