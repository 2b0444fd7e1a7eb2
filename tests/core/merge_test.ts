import assert from "node:assert/strict";
import type { PermitEvent, PermitUpdate } from "../../src/core/event.ts";
import { type DataHolder, MEMBERS_MAX, NO_MEMBERS } from "../../src/core/member.ts";
import {
  applyUpdate,
  compareInstants,
  effectOf,
  mergeMembers,
  settleAccounts,
} from "../../src/core/merge.ts";
import { newPermit, type Permit } from "../../src/core/permit.ts";
import { builtInPhases, MEMBERS, permitOf } from "./plan_fixture.ts";

const PHASES = await builtInPhases();

function event(type: string, update: PermitUpdate = {}, more: Partial<PermitEvent> = {}): PermitEvent {
  return {
    source: "permit-manager",
    id: "e",
    type: `permit.${type}`,
    permitId: "permit-001",
    time: null,
    revision: null,
    update,
    bodyHash: "h",
    ...more,
  };
}

const apply = (permit: Permit, ...events: PermitEvent[]): Permit =>
  events.reduce((before, next) => applyUpdate(before, next, PHASES), permit);

const status = (word: string): PermitEvent => event("status.updated", { status: word });
const holder = (id: string, more: Partial<DataHolder> = {}): DataHolder => ({
  id,
  username: id,
  allowedCidrs: [],
  sshPublicKeys: [],
  ...more,
});

Deno.test("effectOf: built-in types, a site's own, strangers", () => {
  const own = new Map(PHASES.events);
  own.set("permit.pause", {
    event: "permit.pause",
    title: "",
    description: "",
    effect: "stop",
    workspaces: [],
    kinds: [],
  });
  // A file cannot take the meaning from a built-in type.
  own.set("permit.halted", {
    event: "permit.halted",
    title: "",
    description: "",
    effect: "start",
    workspaces: [],
    kinds: [],
  });
  const phases = { ...PHASES, events: own };
  const cases: [string, string | null][] = [
    ["permit.status.updated", "set"],
    ["permit.ingress.initiated", "open-ingress"],
    ["permit.workspace.stop_requested", "stop"],
    ["permit.workspace.start_requested", "start"],
    ["permit.halted", "halt"],
    ["permit.resumed", "resume"],
    ["permit.deleted", "destroy"],
    ["permit.pause", "stop"],
    ["permit.analysis.approved", null],
    ["toString", null],
  ];
  for (const [type, effect] of cases) assert.equal(effectOf(type, phases), effect, type);
});

Deno.test("applyUpdate: a field not given stays, a list given replaces the whole list", () => {
  const before = permitOf({
    status: "ANALYSIS_ACTIVE",
    tier: "standard",
    expiresAt: "2027-06-30T00:00:00.000Z",
  });
  const same = apply(before, event("status.updated", { status: "ANALYSIS_ACTIVE" }));
  assert.deepEqual([same.members, same.tier, same.expiresAt], [
    before.members,
    before.tier,
    before.expiresAt,
  ]);
  const fewer = apply(
    before,
    event("status.updated", { researchers: [{ username: "l.maes" }], reviewer: { username: "x" } }),
  );
  assert.deepEqual(fewer.members, {
    ...MEMBERS,
    researchers: [{ username: "l.maes" }],
    reviewer: { username: "x" },
  });
  assert.deepEqual(apply(before, event("status.updated", { dataHolders: [] })).members.dataHolders, []);
  assert.equal(apply(before, event("status.updated", { expiresAt: null })).expiresAt, null);
  assert.deepEqual(
    before,
    permitOf({ status: "ANALYSIS_ACTIVE", tier: "standard", expiresAt: "2027-06-30T00:00:00.000Z" }),
  );
});

Deno.test("applyUpdate: a number given is an account at once, who has none waits for a lease", () => {
  const permit = apply(
    newPermit("p"),
    event("status.updated", { researchers: [{ username: "given", uid: 5000 }, { username: "none" }] }),
    event("status.updated", { researchers: [{ username: "given", uid: 5001, gid: 6000 }] }),
  );
  assert.deepEqual(permit.accounts, { given: { username: "given", uid: 5001, gid: 6000 } });
});

Deno.test("applyUpdate: a holder stays known after the last mention, because its uploads stay", () => {
  const permit = apply(
    newPermit("p"),
    event("ingress.initiated", { dataHolders: [holder("a"), holder("b", { username: "b-sftp" })] }),
    event("status.updated", { status: "AWAITING_INGRESS", dataHolders: [holder("c")] }),
  );
  assert.deepEqual(permit.holders, { a: "a", b: "b-sftp", c: "c" });
});

Deno.test("applyUpdate: ingress opens once, and closes with a status that does not keep it", () => {
  const open = event("ingress.initiated");
  const cases: [string, PermitEvent[], boolean, number][] = [
    ["opened", [open], true, 1],
    ["opened twice is open once", [open, open], true, 1],
    ["AWAITING_INGRESS keeps it", [open, status("AWAITING_INGRESS")], true, 1],
    ["another status closes it", [open, status("DATA_PREPARATION_PENDING")], false, 1],
    ["a flag does not", [open, event("workspace.stop_requested")], true, 1],
    ["reopened is a new batch", [open, status("DATA_PREPARATION_PENDING"), open], true, 2],
    ["the same status arriving closes it too", [status("ARCHIVED"), open, status("ARCHIVED")], false, 1],
    [
      "a flag that repeats the status does not",
      [
        status("ARCHIVED"),
        open,
        event("workspace.start_requested", { status: "ARCHIVED" }),
      ],
      true,
      1,
    ],
    [
      "a flag that brings another status does",
      [
        status("ARCHIVED"),
        open,
        event("workspace.start_requested", { status: "ANALYSIS_ACTIVE" }),
      ],
      false,
      1,
    ],
    [
      "new members alone do not",
      [status("ARCHIVED"), open, event("status.updated", { researchers: [] })],
      true,
      1,
    ],
    [
      "opened by the event that brings the status",
      [event("ingress.initiated", { status: "ARCHIVED" })],
      true,
      1,
    ],
    [
      "back to AWAITING_INGRESS does not reopen",
      [open, status("ARCHIVED"), status("AWAITING_INGRESS")],
      false,
      1,
    ],
  ];
  for (const [why, events, isOpen, batch] of cases) {
    const permit = apply(newPermit("p"), ...events);
    assert.deepEqual([permit.ingressOpen, permit.ingressBatch], [isOpen, batch], why);
  }
});

Deno.test("applyUpdate: stop holds until start or another status", () => {
  const stop = event("workspace.stop_requested"), start = event("workspace.start_requested");
  const cases: [string, PermitEvent[], boolean][] = [
    ["stopped", [status("ANALYSIS_ACTIVE"), stop], true],
    ["started", [status("ANALYSIS_ACTIVE"), stop, start], false],
    ["another status", [status("ANALYSIS_ACTIVE"), stop, status("WORKSPACE_SETUP_REWORK")], false],
    ["the same status again", [status("ANALYSIS_ACTIVE"), stop, status("ANALYSIS_ACTIVE")], true],
    ["new members", [status("ANALYSIS_ACTIVE"), stop, event("status.updated", { researchers: [] })], true],
    ["stop with another status stops in that status", [
      status("ANALYSIS_ACTIVE"),
      event("workspace.stop_requested", { status: "WORKSPACE_SETUP_PENDING" }),
    ], true],
  ];
  for (const [why, events, expected] of cases) {
    assert.equal(apply(newPermit("p"), ...events).stopRequested, expected, why);
  }
});

Deno.test("applyUpdate: halt, resume and deletion are flags that take no fields", () => {
  const before = permitOf({ status: "ANALYSIS_ACTIVE" });
  const fields: PermitUpdate = { status: "ARCHIVED", researchers: [], expiresAt: "2030-01-01T00:00:00.000Z" };
  const halted = apply(before, event("halted", fields));
  assert.deepEqual([halted.halted, halted.status, halted.members], [true, "ANALYSIS_ACTIVE", MEMBERS]);
  const deleted = apply(halted, event("deleted", fields));
  assert.deepEqual([deleted.halted, deleted.deletion, deleted.status], [
    true,
    "requested",
    "ANALYSIS_ACTIVE",
  ]);
  assert.equal(apply(deleted, event("resumed")).halted, false);
  assert.equal(apply({ ...deleted, deletion: "done" }, event("deleted")).deletion, "done");
});

Deno.test("applyUpdate: bookkeeping counts events and never goes back", () => {
  const at = (second: string): string => `2026-11-22T10:00:${second}Z`;
  const permit = apply(
    newPermit("p"),
    event("status.updated", { status: "ARCHIVED" }, { revision: 7, time: at("07.000") }),
    event("halted", {}, { revision: 3, time: at("03.000"), bodyHash: "late" }),
    event("resumed"),
  );
  assert.deepEqual([permit.version, permit.lastRevision, permit.lastTime], [3, 7, at("07.000")]);
  assert.deepEqual(permit.latest, { type: "permit.resumed", bodyHash: "h" });
});

Deno.test("compareInstants: below a millisecond too", () => {
  const ordered = [
    "2026-11-22T10:00:00.000Z",
    "2026-11-22T10:00:00.0000001Z",
    "2026-11-22T10:00:00.000001Z",
    "2026-11-22T10:00:00.001Z",
    "2026-11-22T10:00:00.123Z",
    "2026-11-22T10:00:00.1230005Z",
    "2026-11-22T10:00:01.000Z",
  ];
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries()) {
      assert.equal(Math.sign(compareInstants(a, b)), Math.sign(i - j), `${a} ${b}`);
    }
  }
});

Deno.test("mergeMembers: who cannot stand beside whom", () => {
  const kept = { gone: { username: "gone", uid: 21009, gid: 21009 } };
  const cases: [string, PermitUpdate, string[]][] = [
    ["nobody new", {}, []],
    ["a staff member in every role", {
      preprocessor: { username: "s" },
      reviewer: { username: "s" },
      setupReviewer: { username: "s" },
    }, []],
    ["a researcher who also reviews", { setupReviewer: { username: "l.maes" } }, []],
    ["a researcher twice", { researchers: [{ username: "a" }, { username: "b" }, { username: "a" }] }, [
      "data.researchers[2].username: a is named twice",
    ]],
    ["a researcher twice but for case", { researchers: [{ username: "a.b" }, { username: "A.B" }] }, [
      "data.researchers[1].username: A.B differs from a.b only in case",
    ]],
    ["somebody earlier but for case", { researchers: [{ username: "M.Keller" }] }, [
      "data.researchers[0].username: M.Keller differs from m.keller only in case",
    ]],
    [
      "a holder's id twice",
      { dataHolders: [holder("h", { username: "x" }), holder("H", { username: "y" })] },
      [
        "data.dataHolders[1].id: H is named twice",
      ],
    ],
    ["two holders with one account", { dataHolders: [holder("x"), holder("y", { username: "x" })] }, [
      "data.dataHolders[1].username: x is already a dataHolder; a data holder needs an account of its own",
    ]],
    ["a holder with a researcher's account", { dataHolders: [holder("x", { username: "j.virtanen" })] }, [
      "data.dataHolders[0].username: j.virtanen is already a researcher; a data holder needs an account of its own",
    ]],
    ["a researcher with a holder's account", { researchers: [{ username: "hospital-a-sftp" }] }, [
      "data.researchers[0].username: hospital-a-sftp is already a dataHolder; a data holder needs an account of its own",
    ]],
    ["a uid twice in a list", { researchers: [{ username: "a", uid: 5000 }, { username: "b", uid: 5000 }] }, [
      "data.researchers[1].uid: uid 5000 belongs to a in this permit",
    ]],
    ["the uid of somebody earlier", { reviewer: { username: "r", uid: 21001 } }, [
      "data.reviewer.uid: uid 21001 belongs to j.virtanen in this permit",
    ]],
    ["the uid of somebody no longer named", { reviewer: { username: "r", uid: 21009 } }, [
      "data.reviewer.uid: uid 21009 belongs to gone in this permit",
    ]],
    ["their own uid again", { researchers: [{ username: "gone", uid: 21009 }] }, []],
    ["another uid for the same person", { researchers: [{ username: "gone", uid: 21010 }] }, []],
    ["a shared group", {
      researchers: [{ username: "a", uid: 5000, gid: 5000 }, { username: "b", uid: 5001, gid: 5000 }],
    }, []],
    ["two uids for one person", {
      reviewer: { username: "s", uid: 5000 },
      preprocessor: { username: "s", uid: 5001 },
    }, [
      "data.reviewer.uid: s has uid 5001 in another role",
    ]],
    ["two gids for one person", {
      reviewer: { username: "s", gid: 5000 },
      preprocessor: { username: "s", gid: 5001 },
    }, [
      "data.reviewer.gid: s has gid 5001 in another role",
    ]],
    ["too many in all", {
      researchers: Array.from({ length: MEMBERS_MAX }, (_, i) => ({ username: `u${i}` })),
    }, [
      `data: the permit would have ${MEMBERS_MAX + 4} people; at most ${MEMBERS_MAX} are accepted`,
    ]],
  ];
  for (const [why, update, expected] of cases) {
    const merged = mergeMembers({ members: MEMBERS, accounts: kept }, update);
    const errors = "errors" in merged ? merged.errors.map(({ path, message }) => `${path}: ${message}`) : [];
    assert.deepEqual(errors, expected, why);
  }
});

Deno.test("settleAccounts: the event's number, else the kept one, else a lease", () => {
  const members = {
    ...NO_MEMBERS,
    researchers: [{ username: "new", uid: 5000 }, { username: "group", uid: 5001, gid: 6000 }, {
      username: "kept",
    }, { username: "lease" }],
    reviewer: { username: "renumbered", uid: 5002 },
    preprocessor: { username: "regrouped", gid: 6001 },
  };
  const accounts = Object.fromEntries(
    [["kept", 7000, 7500], ["renumbered", 7001, 7501], ["regrouped", 7002, 7002], ["gone", 7003, 7003]]
      .map((
        [username, uid, gid],
      ) => [String(username), { username: String(username), uid: Number(uid), gid: Number(gid) }]),
  );
  const settled = settleAccounts({ ...newPermit("p"), members, accounts });
  assert.deepEqual(settled.unleased, [{ username: "lease", uid: undefined, gid: undefined }]);
  assert.deepEqual(
    Object.values(settled.accounts).map(({ username, uid, gid }) => `${username} ${uid}:${gid}`).sort(),
    [
      "gone 7003:7003",
      "group 5001:6000",
      "kept 7000:7500",
      "new 5000:5000",
      "regrouped 7002:6001",
      "renumbered 5002:5002",
    ],
  );
});
