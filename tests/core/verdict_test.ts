import assert from "node:assert/strict";
import fc from "fast-check";
import { EVENT_TYPES, type PermitEvent } from "../../src/core/event.ts";
import { newPermit, type Permit } from "../../src/core/permit.ts";
import { canonicalJson } from "../../src/core/sha256.ts";
import { decideEvent, type Decision, type DecisionInput } from "../../src/core/verdict.ts";
import { builtInPhases, MEMBERS, permitOf } from "./plan_fixture.ts";

const PHASES = await builtInPhases();
const at = (second: number): string => `2026-11-22T10:00:${String(second).padStart(2, "0")}.000Z`;

/** An event whose body hash is its content, as intake makes it. */
function event(given: Partial<PermitEvent> = {}): PermitEvent {
  const made = {
    source: "permit-manager",
    id: "e-1",
    type: "permit.status.updated",
    permitId: "permit-001",
    time: null,
    revision: null,
    update: given.type === undefined ? { status: "ANALYSIS_ACTIVE" } : {},
    ...given,
  };
  const { type, permitId, time, revision, update } = made;
  return { bodyHash: canonicalJson({ type, permitId, time, revision, update }), ...made };
}

function decide(given: Partial<DecisionInput> = {}): Decision {
  return decideEvent({
    event: event(),
    permit: null,
    seen: null,
    redelivered: false,
    unackedTwins: [],
    phases: PHASES,
    tiers: new Set(["standard"]),
    nowMs: 0,
    ...given,
  });
}

const latestOf = ({ type, bodyHash }: PermitEvent): Permit["latest"] => ({ type, bodyHash });

interface Case {
  why: string;
  given: Partial<DecisionInput>;
  verdict: Decision["verdict"];
}

function judges(cases: Case[]): void {
  for (const { why, given, verdict } of cases) assert.equal(decide(given).verdict, verdict, why);
}

Deno.test("decideEvent: identity is source and id, the body decides between duplicate and conflict", () => {
  const same = { seq: 4, bodyHash: event().bodyHash }, other = { seq: 4, bodyHash: "other" };
  judges([
    { why: "never seen", given: {}, verdict: "accepted" },
    { why: "same id, same body", given: { seen: same }, verdict: "duplicate" },
    { why: "same id, other body", given: { seen: other }, verdict: "conflict" },
    {
      why: "a halt under a used id is a conflict too",
      given: { event: event({ type: "permit.halted" }), seen: other },
      verdict: "conflict",
    },
    {
      why: "identity goes before staleness",
      given: {
        event: event({ revision: 1 }),
        permit: permitOf({ lastRevision: 9 }),
        seen: { seq: 4, bodyHash: event({ revision: 1 }).bodyHash },
      },
      verdict: "duplicate",
    },
    {
      why: "identity goes before a status that the site has dropped",
      given: {
        event: event({ update: { status: "GONE" } }),
        seen: { seq: 4, bodyHash: event({ update: { status: "GONE" } }).bodyHash },
      },
      verdict: "duplicate",
    },
    {
      why: "identity goes before the end",
      given: { permit: permitOf({ deletion: "done" }), seen: same },
      verdict: "duplicate",
    },
    {
      why: "with an id, an equal body returns rightly",
      given: { permit: permitOf({ latest: latestOf(event()) }) },
      verdict: "accepted",
    },
    {
      why: "ignored takes no part",
      given: { event: event({ type: "permit.analysis.approved" }), seen: other },
      verdict: "ignored",
    },
  ]);
  assert.deepEqual(decide({ seen: same }), {
    verdict: "duplicate",
    reason: "Same id and body as event 4",
    of: 4,
    absorbs: null,
  });
});

Deno.test("decideEvent: without an id, only the latest event can be repeated", () => {
  const anonymous = event({ id: null });
  const stop = event({ id: null, type: "permit.workspace.stop_requested" });
  judges([
    { why: "nothing came before", given: { event: anonymous }, verdict: "accepted" },
    {
      why: "the latest again",
      given: { event: anonymous, permit: permitOf({ latest: latestOf(anonymous) }) },
      verdict: "duplicate",
    },
    {
      why: "an earlier body returns: stop, start, stop",
      given: {
        event: stop,
        permit: permitOf({ latest: latestOf(event({ type: "permit.workspace.start_requested" })) }),
      },
      verdict: "accepted",
    },
    {
      why: "same body, another type",
      given: {
        event: stop,
        permit: permitOf({ latest: { type: "permit.halted", bodyHash: stop.bodyHash } }),
      },
      verdict: "accepted",
    },
    {
      why: "a twin counts only for a redelivery",
      given: { event: stop, unackedTwins: [8] },
      verdict: "accepted",
    },
  ]);
});

Deno.test("decideEvent: each row whose acknowledgement may be lost absorbs one redelivery", () => {
  const stop = event({ id: null, type: "permit.workspace.stop_requested" });
  const permit = permitOf({ latest: latestOf(event({ type: "permit.workspace.start_requested" })) });
  assert.deepEqual(decide({ event: stop, permit, redelivered: true, unackedTwins: [8, 9] }), {
    verdict: "duplicate",
    reason: "Delivered again: event 8 was recorded, its acknowledgement may have been lost",
    of: 8,
    absorbs: 8,
  });
  assert.equal(
    decide({ event: stop, permit, redelivered: true }).verdict,
    "accepted",
    "no twin: never recorded",
  );
  const known = event({ type: "permit.workspace.stop_requested" });
  assert.equal(
    decide({ event: known, permit, redelivered: true }).verdict,
    "accepted",
    "with an id, identity decides",
  );
});

Deno.test("decideEvent: order is by revision, then by time, else by arrival", () => {
  const permit = permitOf({
    status: "ARCHIVED",
    lastRevision: 7,
    lastTime: at(30),
    latest: { type: "x", bodyHash: "x" },
  });
  const cases: [string, Partial<PermitEvent>, Permit, Decision["verdict"]][] = [
    ["a newer revision", { revision: 8 }, permit, "accepted"],
    ["an older revision", { revision: 6 }, permit, "stale"],
    ["an equal revision under another id", { revision: 7 }, permit, "conflict"],
    ["an equal revision without an id", { revision: 7, id: null }, permit, "conflict"],
    ["revision 0 is a revision", { revision: 0 }, permit, "stale"],
    ["a newer revision with an older time", { revision: 8, time: at(1) }, permit, "accepted"],
    ["an older revision with a newer time", { revision: 6, time: at(59) }, permit, "stale"],
    ["no revision, a newer time", { time: at(31) }, permit, "accepted"],
    ["no revision, an equal time", { time: at(30) }, permit, "accepted"],
    ["no revision, an older time", { time: at(29) }, permit, "stale"],
    ["older by a nanosecond", { time: "2026-11-22T10:00:29.999999999Z" }, permit, "stale"],
    ["neither: by arrival", {}, permit, "accepted"],
    ["a revision where none came before", { revision: 1, time: at(1) }, {
      ...permit,
      lastRevision: null,
      lastTime: null,
    }, "accepted"],
    [
      "a revision where only a time came before",
      { revision: 1 },
      { ...permit, lastRevision: null },
      "accepted",
    ],
    ["a time where only a revision came before", { time: at(1) }, { ...permit, lastTime: null }, "accepted"],
  ];
  for (const [why, given, before, verdict] of cases) {
    assert.equal(decide({ event: event({ id: "e-2", ...given }), permit: before }).verdict, verdict, why);
  }
});

Deno.test("decideEvent: halt and deletion are never stale, resume is", () => {
  const permit = permitOf({ lastRevision: 7, lastTime: at(30) });
  for (const type of ["permit.halted", "permit.deleted"]) {
    for (const given of [{ revision: 1 }, { revision: 7 }, { time: at(1) }]) {
      const decision = decide({ event: event({ type, ...given }), permit });
      assert.equal(decision.verdict, "accepted", `${type} ${JSON.stringify(given)}`);
      if (decision.verdict === "accepted") {
        assert.deepEqual([decision.permit.lastRevision, decision.permit.lastTime], [7, at(30)]);
      }
    }
  }
  assert.equal(decide({ event: event({ type: "permit.resumed", revision: 1 }), permit }).verdict, "stale");
});

Deno.test("decideEvent: permit.deleted is final", () => {
  const going = permitOf({ status: "ARCHIVED", deletion: "requested" }),
    gone = permitOf({ deletion: "done" });
  const cases: [string, Permit, Decision["verdict"]][] = [
    ["permit.status.updated", going, "stale"],
    ["permit.ingress.initiated", going, "stale"],
    ["permit.workspace.start_requested", going, "stale"],
    // While halted, deletion waits for resume (DESIGN 6); a halt can still stop it.
    ["permit.halted", going, "accepted"],
    ["permit.resumed", going, "accepted"],
    ["permit.deleted", going, "accepted"],
    ["permit.status.updated", gone, "stale"],
    ["permit.halted", gone, "stale"],
    ["permit.resumed", gone, "stale"],
    ["permit.deleted", gone, "stale"],
  ];
  for (const [type, permit, verdict] of cases) {
    const given = event({
      type,
      id: "later",
      revision: 99,
      update: type === "permit.status.updated" ? { status: "ARCHIVED" } : {},
    });
    assert.equal(
      decide({ event: given, permit }).verdict,
      verdict,
      `${type} when deletion is ${permit.deletion}`,
    );
  }
});

Deno.test("decideEvent: an unknown permit can be halted or deleted before anything else is known of it", () => {
  const deleted = decide({ event: event({ type: "permit.deleted" }) });
  assert.ok(deleted.verdict === "accepted");
  assert.deepEqual([deleted.permit.deletion, deleted.job, deleted.priority, deleted.changed], [
    "requested",
    "delete",
    10,
    true,
  ]);
  assert.equal(decide({ event: event({ id: "late" }), permit: deleted.permit }).verdict, "stale");
  const halted = decide({ event: event({ type: "permit.halted" }) });
  assert.ok(halted.verdict === "accepted");
  const then = decide({ event: event({ id: "then" }), permit: halted.permit });
  assert.ok(then.verdict === "accepted");
  assert.deepEqual([then.permit.status, then.permit.halted, then.job], ["ANALYSIS_ACTIVE", true, "halt"]);
});

Deno.test("decideEvent: what the site does not know is rejected, each word with its reason", () => {
  const decision = decide({ event: event({ update: { status: "PAUSED", tier: "huge" } }) });
  assert.ok(decision.verdict === "rejected");
  assert.deepEqual(decision.errors.map(({ path }) => path), ["data.status", "data.tier"]);
  assert.match(decision.errors[0]?.message ?? "", /^no phase is named PAUSED; known: ANALYSIS_ACTIVE, /);
  assert.equal(decision.errors[1]?.message, "no tier is named huge; known: standard");
  judges([
    {
      why: "an inherited name is no status",
      given: { event: event({ update: { status: "constructor" } }) },
      verdict: "rejected",
    },
    {
      why: "a flag with an unknown status",
      given: { event: event({ type: "permit.workspace.start_requested", update: { status: "PAUSED" } }) },
      verdict: "rejected",
    },
    {
      why: "a halt is not asked for its status",
      given: { event: event({ type: "permit.halted", update: { status: "PAUSED" } }) },
      verdict: "accepted",
    },
    {
      why: "clashes with somebody earlier",
      given: { permit: permitOf({}), event: event({ update: { reviewer: { username: "r", uid: 21001 } } }) },
      verdict: "rejected",
    },
    {
      why: "a stale clash is only stale",
      given: {
        permit: permitOf({ lastRevision: 5 }),
        event: event({ revision: 4, update: { reviewer: { username: "r", uid: 21001 } } }),
      },
      verdict: "stale",
    },
  ]);
});

Deno.test("decideEvent: an accepted event says whether the wish changed, and counts all the same", () => {
  const before = permitOf({ status: "ANALYSIS_ACTIVE", version: 3 });
  const same = decide({ permit: before });
  assert.ok(same.verdict === "accepted");
  assert.deepEqual([same.changed, same.permit.version, same.job], [false, 4, "reconcile"]);
  const other = decide({ permit: before, event: event({ update: { researchers: [] } }) });
  assert.ok(other.verdict === "accepted");
  assert.deepEqual([other.changed, other.permit.version, other.job, other.priority], [true, 4, "stop", 20]);
});

/** The inbox as the store keeps it: enough to judge a stream. */
class Inbox {
  permit: Permit | null = null;
  accepted: PermitEvent[] = [];
  readonly #seen = new Map<string, { seq: number; bodyHash: string }>();

  take(next: PermitEvent): Decision {
    const key = `${next.source}\n${next.id}`;
    const decision = decide({
      event: next,
      permit: this.permit,
      seen: next.id === null ? null : this.#seen.get(key) ?? null,
    });
    if (next.id !== null && ["accepted", "stale"].includes(decision.verdict)) {
      this.#seen.set(key, { seq: this.#seen.size + 1, bodyHash: next.bodyHash });
    }
    if (decision.verdict === "accepted") {
      this.permit = decision.permit;
      this.accepted.push(next);
    }
    return decision;
  }
}

const statuses = fc.constantFrom(...PHASES.statuses.keys());
const researchers = fc.subarray(MEMBERS.researchers);
const types = fc.constantFrom(...EVENT_TYPES, "permit.analysis.approved");
const anyEvent = fc.record({
  id: fc.option(fc.constantFrom("a", "b", "c", "d"), { nil: null }),
  type: types,
  revision: fc.option(fc.nat(6), { nil: null }),
  time: fc.option(fc.nat(6).map(at), { nil: null }),
  update: fc.record({ status: statuses, researchers, expiresAt: fc.constantFrom(null, at(1)) }, {
    requiredKeys: [],
  }),
}).map((given) => event(given));

Deno.test("decideEvent: never throws, and the permit is the fold of the accepted events", () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 30 }), (stream) => {
      const inbox = new Inbox();
      for (const next of stream) {
        const before = inbox.permit;
        const { verdict } = inbox.take(next);
        if (verdict !== "accepted") assert.equal(inbox.permit, before);
        else assert.equal(inbox.permit?.version, (before?.version ?? 0) + 1);
        if (before !== null && before.deletion !== "none") assert.notEqual(inbox.permit?.deletion, "none");
        if (before !== null && before.deletion !== "none") assert.equal(inbox.permit?.status, before.status);
      }
      const again = new Inbox();
      for (const next of inbox.accepted) assert.equal(again.take(next).verdict, "accepted");
      assert.deepEqual(again.permit, inbox.permit);
    }),
    { numRuns: 500 },
  );
});

/** Snapshots with ids and revisions: every event says everything, as a Permit Manager with an outbox sends them. */
const snapshots = fc.array(fc.record({ status: statuses, researchers }), { minLength: 1, maxLength: 8 }).map((
  updates,
) =>
  updates.map((update, index) => event({ id: `e-${index}`, revision: index + 1, time: at(index), update }))
);
const content = ({ status, members, ingressOpen, halted, deletion, lastRevision }: Permit): unknown => ({
  status,
  members,
  ingressOpen,
  halted,
  deletion,
  lastRevision,
});

Deno.test("decideEvent: any reordering and repetition of snapshots ends in the same permit", () => {
  const shuffled = snapshots.chain((stream) =>
    fc.tuple(fc.constant(stream), fc.array(fc.nat(stream.length - 1), { maxLength: 8 }), fc.integer())
      .chain(([events, repeats]) => {
        const all = [...events, ...repeats.map((index) => events[index] ?? event())];
        return fc.tuple(fc.constant(events), fc.shuffledSubarray(all, { minLength: all.length }));
      })
  );
  fc.assert(
    fc.property(shuffled, ([inOrder, mixed]) => {
      const straight = new Inbox(), crooked = new Inbox();
      for (const next of inOrder) assert.equal(straight.take(next).verdict, "accepted");
      for (const next of mixed) assert.notEqual(crooked.take(next).verdict, "conflict");
      assert.deepEqual(content(crooked.permit ?? newPermit("")), content(straight.permit ?? newPermit("")));
    }),
    { numRuns: 500 },
  );
});

Deno.test("decideEvent: a deletion anywhere in a reordered stream ends in deletion", () => {
  const streams = snapshots.chain((stream) => {
    const all = [...stream, event({ id: "end", type: "permit.deleted", revision: 99, time: at(59) })];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });
  fc.assert(
    fc.property(streams, (stream) => {
      const inbox = new Inbox();
      for (const next of stream) inbox.take(next);
      assert.equal(inbox.permit?.deletion, "requested");
    }),
    { numRuns: 200 },
  );
});

Deno.test("decideEvent: taking any event again changes nothing", () => {
  const withIds = anyEvent.map((given) => ({ ...given, id: given.id ?? "z" }));
  fc.assert(
    fc.property(fc.array(withIds, { maxLength: 20 }), (stream) => {
      const inbox = new Inbox();
      for (const next of stream) {
        const { verdict } = inbox.take(next);
        const before = inbox.permit;
        const again = inbox.take(next);
        if (verdict === "accepted" || verdict === "stale") assert.equal(again.verdict, "duplicate");
        assert.equal(inbox.permit, before);
      }
    }),
    { numRuns: 500 },
  );
});
