import assert from "node:assert/strict";
import {
  breachesOf,
  dataBesideWayOut,
  describeBreach,
  type GuardedInstance,
  guardedMount,
  type GuardedState,
  type Invariant,
  INVARIANTS,
  type WayOut,
} from "../../src/core/invariants.ts";
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

/** A pod with its mounts as "prepared ro!", where "!" means sensitive and known as such. */
function pod(given: Partial<GuardedInstance>, ...texts: string[]): GuardedInstance {
  return {
    uid: "uid",
    name: "pod a",
    key: "research/a",
    owner: "a",
    mounts: texts.map((text) => {
      const isSensitive = text.endsWith("!");
      const [one] = mounts(text.replace(/!$/, ""));
      assert.ok(one !== undefined);
      return guardedMount(one, isSensitive, isSensitive);
    }),
    waysOut: [],
    isOpened: false,
    isProven: false,
    isGated: true,
    ...given,
  };
}

const PROXY: WayOut = { text: "to proxy", isAllowList: false };
const LISTED: WayOut = { text: "listed addresses", isAllowList: true };
const state = (...instances: GuardedInstance[]): GuardedState => ({ instances, lost: [] });

/** For each invariant at least one state that keeps it and one that breaks it. */
const STATES: { number: Invariant["number"]; why: string; state: GuardedState; broken: RegExp | null }[] = [
  { number: 1, why: "data and no way out", state: state(pod({}, "prepared ro!")), broken: null },
  {
    number: 1,
    why: "a way out and no data",
    state: state(pod({ waysOut: [PROXY] }, "project rw")),
    broken: null,
  },
  {
    number: 1,
    why: "both, read-only or not",
    state: state(pod({ waysOut: [PROXY] }, "prepared ro!")),
    broken: /^pod a \(uid\) has prepared and ways out: to proxy \(invariant 1\)$/,
  },
  {
    number: 1,
    why: "an airlock with its own holder's uploads is the one exception",
    state: state(pod({ owner: "hospital-a", waysOut: [LISTED] }, "uploads/hospital-a wo!")),
    broken: null,
  },
  {
    number: 1,
    why: "somebody's policy on an airlock is none",
    state: state(pod({ owner: "hospital-a", waysOut: [LISTED, PROXY] }, "uploads/hospital-a wo!")),
    broken: /has uploads\/hospital-a/,
  },
  {
    number: 2,
    why: "two pods that share nothing",
    state: state(pod({}, "prepared ro!"), pod({ name: "pod b", uid: "b", waysOut: [PROXY] }, "project rw")),
    broken: null,
  },
  {
    number: 2,
    why: "data here, a way out there, a shared volume between them",
    state: state(
      pod({}, "prepared ro!", "project rw!"),
      pod({ name: "pod b", uid: "b", waysOut: [PROXY] }, "project ro!"),
    ),
    broken: /^pod a \(uid\) has data and shares project with pod b, which has ways out: to proxy/,
  },
  {
    number: 3,
    why: "what is written is marked",
    state: state(pod({}, "prepared ro!", "home/a rw!")),
    broken: null,
  },
  {
    number: 3,
    why: "what is only read is not copied to",
    state: state(pod({}, "prepared ro!", "home/a ro")),
    broken: null,
  },
  {
    number: 3,
    why: "an unmarked volume is written beside data",
    state: state(pod({}, "prepared ro!", "home/a rw")),
    broken: /writes home\/a beside sensitive data, and the volume is not marked/,
  },
  { number: 4, why: "nothing is lost", state: state(), broken: null },
  {
    number: 4,
    why: "a volume is gone and nobody may have destroyed it",
    state: { instances: [], lost: [{ volumeKey: "prepared", why: "is no longer there" }] },
    broken: /^volume prepared is no longer there \(invariant 4\)$/,
  },
  {
    number: 6,
    why: "opened after its proof",
    state: state(pod({ isOpened: true, isProven: true }, "prepared ro!")),
    broken: null,
  },
  { number: 6, why: "not opened yet", state: state(pod({}, "prepared ro!")), broken: null },
  {
    number: 6,
    why: "opened without data",
    state: state(pod({ isOpened: true }, "project rw")),
    broken: null,
  },
  {
    number: 6,
    why: "opened without proof",
    state: state(pod({ isOpened: true }, "prepared ro!")),
    broken: /was made reachable before its isolation was shown/,
  },
  {
    number: 6,
    why: "mounted without a gate",
    state: state(pod({ isGated: false }, "prepared ro!")),
    broken: /has data and passed no gate/,
  },
  { number: 8, why: "nothing of anybody else's is used", state: state(pod({}, "project rw")), broken: null },
  {
    number: 8,
    why: "a pod on a claim without the permit's mark",
    state: { ...state(), strangers: [{ target: "pod a", what: "claim wps-p/vol-x (it has no label)" }] },
    broken: /^pod a uses what is not WPS's: claim wps-p\/vol-x \(it has no label\) \(invariant 8\)$/,
  },
];

for (const { number, why, state, broken } of STATES) {
  Deno.test(`INVARIANTS: ${number} is ${broken === null ? "kept" : "broken"}: ${why}`, () => {
    const found = breachesOf(state).filter(({ invariant }) => invariant === number);
    if (broken === null) return assert.deepEqual(found, []);
    assert.equal(found.length, 1, JSON.stringify(found));
    assert.match(found.map(describeBreach)[0] ?? "", broken);
  });
}

Deno.test("INVARIANTS: each has a state that keeps it and one that breaks it above, a reason and a source", () => {
  for (const { number, reason, source } of INVARIANTS) {
    const outcomes = STATES.filter((one) => one.number === number).map(({ broken }) => broken !== null);
    assert.deepEqual([...new Set(outcomes)].sort(), [false, true], `invariant ${number}`);
    assert.ok(reason !== "" && source.startsWith("DESIGN 5."), `invariant ${number}`);
  }
  assert.deepEqual(INVARIANTS.map(({ number }) => number), [1, 2, 3, 4, 6, 8]);
});
