import assert from "node:assert/strict";
import { dataBesideWayOut } from "../../src/core/invariants.ts";
import { spreadTaint } from "../../src/core/taint.ts";
import type { Posture } from "../../src/core/phase.ts";
import type { DesiredWorkspace, Mount } from "../../src/core/workspace.ts";
import { mount, workspace as desk } from "../conformance/fixtures.ts";

/** "prepared ro" or "uploads/hospital-a wo". */
function mounts(...texts: string[]): Mount[] {
  return texts.map((text): Mount => {
    const [key = "", mode] = text.split(" ");
    return mount(key, mode === "ro" || mode === "wo" ? mode : "rw", `/${key}`);
  });
}

const workspace = (given: Partial<DesiredWorkspace>): DesiredWorkspace => desk("research/a", given);

const SENSITIVE = new Set(["prepared", "raw", "uploads/hospital-a", "uploads/hospital-b"]);
const isSensitive = (key: string): boolean => SENSITIVE.has(key);

const EXPOSED: { why: string; given: Partial<DesiredWorkspace>; exposed: string[] }[] = [
  { why: "isolated: no way out", given: { mounts: mounts("prepared ro") }, exposed: [] },
  ...(["proxied", "open", "inbound-allowlist"] as Posture[]).map((posture) => ({
    why: `${posture} is a way out, read-only or not`,
    given: { posture, mounts: mounts("prepared ro", "project rw", "raw rw") },
    exposed: ["prepared", "raw"],
  })),
  { why: "no data", given: { posture: "open", mounts: mounts("project rw") }, exposed: [] },
  {
    why: "stopped: it runs nothing",
    given: { power: "stopped", posture: "open", mounts: mounts("prepared ro") },
    exposed: [],
  },
  {
    why: "the airlock's one exception: its own holder's uploads",
    given: { posture: "inbound-allowlist", owner: "hospital-a", mounts: mounts("uploads/hospital-a wo") },
    exposed: [],
  },
  {
    why: "another holder's uploads are no exception",
    given: { posture: "inbound-allowlist", owner: "hospital-a", mounts: mounts("uploads/hospital-b wo") },
    exposed: ["uploads/hospital-b"],
  },
  {
    why: "uploads beside anything else are none either",
    given: {
      posture: "inbound-allowlist",
      owner: "hospital-a",
      mounts: mounts("uploads/hospital-a wo", "project rw"),
    },
    exposed: ["uploads/hospital-a"],
  },
  {
    why: "nor with egress",
    given: { posture: "proxied", owner: "hospital-a", mounts: mounts("uploads/hospital-a wo") },
    exposed: ["uploads/hospital-a"],
  },
];

for (const { why, given, exposed } of EXPOSED) {
  Deno.test(`dataBesideWayOut: ${why}`, () => {
    const found = dataBesideWayOut(workspace(given), isSensitive);
    assert.deepEqual(found.map(({ volumeKey }) => volumeKey), exposed);
  });
}

const SPREAD: { why: string; workspaces: Partial<DesiredWorkspace>[]; tainted: string[] }[] = [
  { why: "nothing sensitive", workspaces: [{ mounts: mounts("project rw", "home/a rw") }], tainted: [] },
  {
    why: "what is written beside data",
    workspaces: [{ mounts: mounts("prepared ro", "project rw", "home/a rw") }],
    tainted: ["home/a", "project"],
  },
  {
    why: "what is only read is not",
    workspaces: [{ mounts: mounts("prepared rw", "project ro") }],
    tainted: [],
  },
  {
    why: "write-only is written",
    workspaces: [{ mounts: mounts("prepared ro", "project wo") }],
    tainted: ["project"],
  },
  {
    why: "on to whoever mounts what became tainted, in whatever order",
    workspaces: [
      { mounts: mounts("home/c rw", "home/b ro") },
      { mounts: mounts("home/b rw", "project ro") },
      { mounts: mounts("prepared ro", "project rw") },
    ],
    tainted: ["home/b", "home/c", "project"],
  },
  {
    why: "not through one that is stopped",
    workspaces: [{ power: "stopped", mounts: mounts("prepared ro", "project rw") }],
    tainted: [],
  },
];

for (const { why, workspaces, tainted } of SPREAD) {
  Deno.test(`spreadTaint: ${why}`, () => {
    assert.deepEqual([...spreadTaint(workspaces.map(workspace), SENSITIVE)].sort(), tainted);
  });
}
