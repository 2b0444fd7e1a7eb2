import assert from "node:assert/strict";
import type { JobKind } from "../../src/core/job.ts";
import type { Permit } from "../../src/core/permit.ts";
import { jobFor } from "../../src/core/urgency.ts";
import { builtInPhases, MEMBERS, permitOf } from "./plan_fixture.ts";

const PHASES = await builtInPhases();
const [virtanen, maes] = MEMBERS.researchers;
const [first, second] = MEMBERS.dataHolders;
const only = (researchers: typeof MEMBERS.researchers): Partial<Permit> => ({
  members: { ...MEMBERS, researchers },
});
const holders = (dataHolders: typeof MEMBERS.dataHolders): Partial<Permit> => ({
  members: { ...MEMBERS, dataHolders },
});

const NOW_MS = Date.UTC(2026, 10, 22);
const PAST = "2026-11-21T00:00:00.000Z";

Deno.test("jobFor: taking access away is urgent, giving it is not", () => {
  assert.ok(virtanen && maes && first && second);
  const active = { status: "ANALYSIS_ACTIVE" };
  const ingress = { status: "AWAITING_INGRESS", ingressOpen: true, ingressBatch: 1 };
  const key = "ssh-ed25519 A";
  const cases: [string, Partial<Permit>, Partial<Permit>, JobKind][] = [
    ["a new status that runs something", {}, active, "reconcile"],
    ["another status that runs something else", { status: "WORKSPACE_SETUP_PENDING" }, active, "reconcile"],
    [
      "the first of a permit, which runs nothing",
      { version: 0 },
      { status: "AWAITING_INGRESS" },
      "reconcile",
    ],
    ["the first, halted", { version: 0 }, { halted: true }, "halt"],
    ["the first, deleted", { version: 0 }, { deletion: "requested" }, "delete"],
    ["archived", active, { status: "ARCHIVED" }, "stop"],
    [
      "archived again",
      { status: "ARCHIVED" },
      { status: "ARCHIVED", expiresAt: "2030-01-01T00:00:00.000Z" },
      "stop",
    ],
    ["back to waiting", active, { status: "AWAITING_INGRESS" }, "stop"],
    ["stopped", active, { ...active, stopRequested: true }, "stop"],
    ["started", { ...active, stopRequested: true }, active, "reconcile"],
    ["one researcher fewer", active, { ...active, ...only([maes]) }, "stop"],
    ["no researcher left", active, { ...active, ...only([]) }, "stop"],
    ["one researcher more", { ...active, ...only([maes]) }, active, "reconcile"],
    [
      "one researcher for another",
      { ...active, ...only([maes]) },
      { ...active, ...only([virtanen]) },
      "reconcile",
    ],
    ["another account", active, {
      ...active,
      accounts: { ...permitOf({}).accounts, "l.maes": { username: "l.maes", uid: 9999, gid: 9999 } },
    }, "reconcile"],
    ["nothing that matters", active, { ...active, expiresAt: "2030-01-01T00:00:00.000Z" }, "reconcile"],
    ["ingress opened", { status: "AWAITING_INGRESS" }, ingress, "reconcile"],
    ["ingress open, one holder fewer", ingress, { ...ingress, ...holders([first]) }, "stop"],
    ["ingress open, an address fewer", ingress, {
      ...ingress,
      ...holders([{ ...first, allowedCidrs: [] }, second]),
    }, "stop"],
    ["ingress open, an address more", ingress, {
      ...ingress,
      ...holders([{ ...first, allowedCidrs: [...first.allowedCidrs, "198.51.100.0/24"] }, second]),
    }, "reconcile"],
    ["ingress open, a key withdrawn", { ...ingress, ...holders([{ ...first, sshPublicKeys: [key] }]) }, {
      ...ingress,
      ...holders([first]),
    }, "stop"],
    ["ingress open, a key added", { ...ingress, ...holders([first]) }, {
      ...ingress,
      ...holders([{ ...first, sshPublicKeys: [key] }]),
    }, "reconcile"],
    ["ingress closed by archiving", ingress, { status: "ARCHIVED", ingressBatch: 1 }, "stop"],
    ["ingress closed by a phase that moves data", ingress, {
      status: "DATA_PREPARATION_PENDING",
      ingressBatch: 1,
    }, "reconcile"],
    ["the same, nobody named yet", ingress, {
      status: "DATA_PREPARATION_PENDING",
      members: { ...MEMBERS, preprocessor: null },
    }, "reconcile"],
    ["halted", active, { ...active, halted: true }, "halt"],
    ["recorded while halted", { ...active, halted: true }, { status: "ARCHIVED", halted: true }, "halt"],
    ["resumed", { ...active, halted: true }, active, "reconcile"],
    ["resumed into nothing", { status: "ARCHIVED", halted: true }, { status: "ARCHIVED" }, "stop"],
    ["expired", active, { ...active, expiresAt: PAST }, "halt"],
    ["the first, expired", { version: 0 }, { ...active, expiresAt: PAST }, "halt"],
    ["recorded while expired", { ...active, expiresAt: PAST }, {
      status: "DATA_PREPARATION_PENDING",
      expiresAt: PAST,
    }, "halt"],
    ["a new date", { ...active, expiresAt: PAST }, { ...active, expiresAt: null }, "reconcile"],
    ["resumed after its date", { ...active, halted: true }, { ...active, expiresAt: PAST }, "halt"],
    ["expired and deleted", { ...active, expiresAt: PAST }, {
      ...active,
      expiresAt: PAST,
      deletion: "requested",
    }, "delete"],
    ["deleted", active, { ...active, deletion: "requested" }, "delete"],
    [
      "deleted while halted",
      { ...active, halted: true },
      { ...active, halted: true, deletion: "requested" },
      "delete",
    ],
    [
      "halted while being deleted",
      { deletion: "requested" },
      { deletion: "requested", halted: true },
      "halt",
    ],
    [
      "resumed while being deleted",
      { deletion: "requested", halted: true },
      { deletion: "requested" },
      "delete",
    ],
  ];
  for (const [why, before, after, kind] of cases) {
    assert.equal(jobFor(permitOf({ version: 1, ...before }), permitOf(after), PHASES, NOW_MS), kind, why);
  }
});

Deno.test("jobFor: a setup reviewer sees one home fewer is taking, one more is giving", () => {
  assert.ok(virtanen && maes);
  const both = permitOf({ status: "WORKSPACE_SETUP_REVIEW_PENDING" });
  const one = permitOf({ status: "WORKSPACE_SETUP_REVIEW_PENDING", ...only([maes]) });
  // Its mounts change either way, and a changed mount needs a new instance: nothing that may overtake others.
  assert.equal(jobFor(both, one, PHASES, NOW_MS), "reconcile");
  assert.equal(jobFor(one, both, PHASES, NOW_MS), "reconcile");
});
