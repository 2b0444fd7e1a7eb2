import assert from "node:assert/strict";
import { acceptBatch, type AcceptRules } from "../../src/intake/accept.ts";
import type { Delivery, Receipt } from "../../src/intake/delivery.ts";
import { listAudit } from "../../src/store/audit.ts";
import type { Db } from "../../src/store/db.ts";
import { getEventBody, insertEvent, markAcked } from "../../src/store/events.ts";
import { listJobs } from "../../src/store/jobs.ts";
import { leasesOf } from "../../src/store/leases.ts";
import { pendingOutbox } from "../../src/store/outbox.ts";
import { getPermit } from "../../src/store/permits.ts";
import { event, withStore } from "../store/fixture.ts";
import { allEvents, delivery, minimal, RULES } from "./fixture.ts";
import { canonical, holder, rawMessage } from "./messages.ts";

const ALL = { cursor: null, limit: 500 };

function accept(db: Db, deliveries: Delivery[], rules: AcceptRules = RULES): Promise<Receipt[]> {
  return db.write((tx) => acceptBatch(tx, deliveries, rules, 5_000));
}

async function one(db: Db, body: unknown, given: Partial<Delivery> = {}): Promise<Receipt> {
  const [receipt] = await accept(db, [delivery(body, given)]);
  assert.ok(receipt);
  return receipt;
}

Deno.test("acceptBatch: an accepted event leaves inbox row, permit, leases, job, audit and outbox", async () => {
  await withStore(async (db) => {
    const receipt = await one(db, canonical());
    assert.deepEqual(receipt, {
      seq: 1,
      verdict: "accepted",
      source: "permit-manager",
      id: "evt-0192",
      type: "permit.status.updated",
      permitId: "permit-001",
      reasons: [],
      unknownFields: { paths: [], count: 0 },
      jobId: 1,
    });
    const [row] = await allEvents(db);
    assert.deepEqual([row?.verdict, row?.identity, row?.revision, row?.time, row?.channel], [
      "accepted",
      true,
      7,
      "2026-11-22T10:00:00.000Z",
      "amqp",
    ]);
    const permit = await getPermit(db, "permit-001");
    assert.deepEqual([permit?.status, permit?.version, permit?.tier], ["ANALYSIS_ACTIVE", 1, "standard"]);
    const [job] = (await listJobs(db, {}, ALL)).items;
    assert.deepEqual([job?.kind, job?.priority, job?.version, job?.eventSeq, job?.runAtMs, job?.state], [
      "reconcile",
      50,
      1,
      1,
      5_000,
      "queued",
    ]);
    const [entry] = (await listAudit(db, {}, ALL)).items;
    assert.deepEqual({ ...entry, seq: 0 }, {
      seq: 0,
      atMs: 5_000,
      permitId: "permit-001",
      eventSeq: 1,
      jobId: 1,
      actor: { kind: "event", id: "permit-manager" },
      action: "event.accepted",
      target: "permit.status.updated",
      outcome: "done",
      reason: null,
      requestId: null,
    });
    const [message] = await pendingOutbox(db, "audit.events", 10);
    assert.deepEqual([message?.key, message?.permitId], ["event.accepted", "permit-001"]);
    const event = { source: "permit-manager", id: "evt-0192", type: "permit.status.updated" };
    assert.deepEqual(message?.payload, { ...entry, ...event, verdict: "accepted", reasons: [] });
  });
});

Deno.test("acceptBatch: who comes without a uid gets one, the permit gets its group, and both stay", async () => {
  await withStore(async (db) => {
    await one(
      db,
      canonical({ id: "1", revision: 1 }, {
        researchers: [{ username: "given", uid: 30_001 }, { username: "none" }],
      }),
    );
    const first = await getPermit(db, "permit-001");
    assert.equal(first?.fsGroup, 30_000);
    const numbers = Object.values(first?.accounts ?? {});
    assert.deepEqual(numbers.map(({ username }) => username).sort(), [
      "a.rossi",
      "given",
      "hospital-a",
      "m.keller",
      "none",
    ]);
    const uids = numbers.map(({ uid }) => uid);
    assert.equal(new Set([...uids, first?.fsGroup]).size, 6, "no number twice, the given one included");
    await one(db, canonical({ id: "2", revision: 2 }, { researchers: [], dataHolders: [] }));
    await one(
      db,
      canonical({ id: "3", revision: 3 }, {
        researchers: [{ username: "none" }],
        dataHolders: [holder("hospital-a")],
      }),
    );
    const again = await getPermit(db, "permit-001");
    assert.deepEqual([again?.accounts, again?.fsGroup], [first?.accounts, 30_000]);
  });
});

Deno.test("acceptBatch: nothing is leased before a workspace can be wanted, nor for the end", async () => {
  await withStore(async (db) => {
    await one(db, { type: "permit.halted", permitId: "h" });
    await one(db, { type: "permit.deleted", permitId: "d" });
    await one(db, {
      type: "permit.workspace.stop_requested",
      permitId: "s",
      researchers: [{ username: "a" }],
    });
    for (const permitId of ["h", "d", "s"]) {
      assert.deepEqual(await leasesOf(db, permitId), [], permitId);
      assert.equal((await getPermit(db, permitId))?.fsGroup, 0, permitId);
    }
    await one(db, minimal("s", "ANALYSIS_ACTIVE"));
    assert.equal((await leasesOf(db, "s")).length, 2);
    await one(db, { type: "permit.ingress.initiated", permitId: "i", dataHolders: [holder("a")] });
    assert.equal((await leasesOf(db, "i")).length, 2);
  });
});

Deno.test("acceptBatch: a used-up uid range rejects that event alone, and leases nothing", async () => {
  await withStore(async (db) => {
    const rules: AcceptRules = { ...RULES, uidRange: [30_000, 30_002] };
    const people = (...names: string[]): { username: string }[] => names.map((username) => ({ username }));
    const receipts = await accept(db, [
      delivery({ ...minimal("p", "ANALYSIS_ACTIVE", "1"), researchers: people("a") }),
      delivery({ ...minimal("q", "ANALYSIS_ACTIVE", "2"), researchers: people("a") }),
      delivery({ ...minimal("r", "ANALYSIS_ACTIVE", "3"), researchers: [{ username: "a", uid: 5_000 }] }),
    ], rules);
    assert.deepEqual(receipts.map(({ verdict }) => verdict), ["accepted", "rejected", "accepted"]);
    assert.match(
      receipts[1]?.reasons[0]?.message ?? "",
      /all of 30000-30002 are taken\. Widen accounts\.uidRange/,
    );
    assert.deepEqual(await leasesOf(db, "q"), []);
    assert.equal(await getPermit(db, "q"), null);
    const widened = await accept(db, [
      delivery({ ...minimal("q", "ANALYSIS_ACTIVE", "2"), researchers: people("a") }),
    ]);
    assert.equal(widened[0]?.verdict, "accepted", "sent again once the range is wider");
  });
});

Deno.test("acceptBatch: later deliveries of a group see what earlier ones did", async () => {
  await withStore(async (db) => {
    const receipts = await accept(db, [
      delivery(canonical({ id: "1", revision: 1 })),
      delivery(canonical({ id: "1", revision: 1 })),
      delivery(canonical({ id: "1", revision: 2 })),
      delivery(canonical({ id: "2", revision: 1 })),
      delivery(canonical({ id: "3", revision: 3 })),
      delivery(canonical({ id: "4", revision: 2 })),
      delivery(canonical({ id: "5", revision: 4 }, { reviewer: { username: "r", uid: 21001 } })),
      delivery({ type: "permit.analysis.approved", id: "1", permitId: "permit-001" }),
      delivery("{"),
    ]);
    assert.deepEqual(receipts.map(({ verdict }) => verdict), [
      "accepted",
      "duplicate",
      "conflict",
      "conflict",
      "accepted",
      "stale",
      "rejected",
      "ignored",
      "rejected",
    ]);
    const entries = (await listAudit(db, {}, ALL)).items.reverse();
    assert.deepEqual(entries.map(({ action, outcome }) => `${action} ${outcome}`), [
      "event.accepted done",
      "event.duplicate done",
      "event.conflict refused",
      "event.conflict refused",
      "event.accepted done",
      "event.stale refused",
      "event.rejected refused",
      "event.ignored done",
      "event.rejected refused",
    ]);
    assert.equal((await pendingOutbox(db, "audit.events", 100)).length, 9);
    const jobs = (await listJobs(db, {}, ALL)).items;
    assert.deepEqual(jobs.map(({ state, version }) => `${state} ${version}`), ["queued 2", "superseded 1"]);
  });
});

Deno.test("acceptBatch: a rejected message is kept raw, of an oversized one the beginning", async () => {
  await withStore(async (db) => {
    const raw = new Uint8Array([0xff, 0x00, 0x7b]);
    const bad = await one(db, {}, { raw: rawMessage(raw, { routingKey: "permit.deleted", messageId: "m" }) });
    assert.deepEqual([bad.verdict, bad.id, bad.type, bad.permitId, bad.source], [
      "rejected",
      "m",
      "permit.deleted",
      null,
      null,
    ]);
    assert.deepEqual(await getEventBody(db, bad.seq), raw);
    const large = new Uint8Array(3 * 1024 * 1024).fill(0x20);
    const big = await one(db, {}, { raw: rawMessage(large) });
    const [, row] = await allEvents(db);
    assert.deepEqual([big.verdict, row?.bodyBytes, (await getEventBody(db, big.seq))?.length], [
      "rejected",
      large.length,
      64 * 1024,
    ]);
  });
});

Deno.test("acceptBatch: what was rejected can be sent again, mended or as it was", async () => {
  await withStore(async (db) => {
    assert.equal((await one(db, minimal("p", "NEW_STATUS", "1"))).verdict, "rejected");
    assert.equal((await one(db, minimal("p", "ARCHIVED", "1"))).verdict, "accepted");
    assert.equal((await one(db, minimal("q", "NEW_STATUS", "2"))).verdict, "rejected");
    const statuses = new Map(RULES.phases.statuses);
    const [archived] = [...statuses.values()].filter(({ status }) => status === "ARCHIVED");
    assert.ok(archived);
    statuses.set("NEW_STATUS", { ...archived, status: "NEW_STATUS" });
    const taught: AcceptRules = { ...RULES, phases: { ...RULES.phases, statuses } };
    const [replayed] = await accept(db, [delivery(minimal("q", "NEW_STATUS", "2"))], taught);
    assert.equal(replayed?.verdict, "accepted");
  });
});

Deno.test("acceptBatch: a redelivery without an id is absorbed once per row whose acknowledgement may be lost", async () => {
  await withStore(async (db) => {
    const stop = { type: "permit.workspace.stop_requested", permitId: "p" };
    const start = { type: "permit.workspace.start_requested", permitId: "p" };
    const again = { redelivered: true, recordedBefore: 100 };
    await one(db, minimal("p", "ANALYSIS_ACTIVE"));
    const first = await one(db, stop);
    await one(db, start);
    assert.equal((await one(db, stop, again)).verdict, "duplicate", "the row of the first stop");
    assert.equal((await getPermit(db, "p"))?.stopRequested, false);
    const absorber = (await allEvents(db)).find(({ seq }) => seq === first.seq);
    assert.equal(absorber?.absorbed, true);
    assert.equal((await one(db, stop, again)).verdict, "duplicate", "the row of that redelivery");
    await db.write((tx) => markAcked(tx, [4, 5], 6_000));
    assert.equal(
      (await one(db, stop, again)).verdict,
      "accepted",
      "every row had its acknowledgement: a new wish",
    );
    assert.equal((await getPermit(db, "p"))?.stopRequested, true);
  });
});

Deno.test("acceptBatch: what one session delivered absorbs nothing of the same session", async () => {
  await withStore(async (db) => {
    const [stop, start] = ["stop", "start"].map((word) => ({
      type: `permit.workspace.${word}_requested`,
      permitId: "p",
    }));
    // Received by a session that was lost before it recorded anything: all come again, the same body rightly twice.
    const receipts = await accept(
      db,
      [stop, start, stop].map((body) => delivery(body, { redelivered: true, recordedBefore: 0 })),
    );
    assert.deepEqual(receipts.map(({ verdict }) => verdict), ["accepted", "accepted", "accepted"]);
    // And again by the next one, whose session began after them.
    const again = await accept(
      db,
      [stop, start, stop].map((body) => delivery(body, { redelivered: true, recordedBefore: 3 })),
    );
    assert.deepEqual(again.map(({ verdict }) => verdict), ["duplicate", "duplicate", "duplicate"]);
    assert.equal((await getPermit(db, "p"))?.stopRequested, true);
  });
});

Deno.test("acceptBatch: a redelivered message that was rejected is rejected again, for its dead letter may be missing", async () => {
  await withStore(async (db) => {
    for (const redelivered of [false, true, true]) {
      assert.equal((await one(db, minimal("p", "PAUSED"), { redelivered })).verdict, "rejected");
    }
  });
});

Deno.test("acceptBatch: an event that changes nothing keeps the place of the cut that it supersedes", async () => {
  await withStore(async (db) => {
    await one(db, {
      ...minimal("p", "ANALYSIS_ACTIVE", "1"),
      researchers: [{ username: "a" }, { username: "b" }],
    });
    await one(db, { ...minimal("p", "ANALYSIS_ACTIVE", "2"), researchers: [{ username: "a" }] });
    await one(db, minimal("p", "ANALYSIS_ACTIVE", "3"));
    const [job] = (await listJobs(db, {}, ALL)).items;
    assert.deepEqual([job?.kind, job?.priority, job?.version], ["stop", 20, 3]);
    await one(db, {
      ...minimal("p", "ANALYSIS_ACTIVE", "4"),
      researchers: [{ username: "a" }, { username: "c" }],
    });
    assert.equal((await listJobs(db, {}, ALL)).items[0]?.kind, "reconcile");
  });
});

Deno.test("acceptBatch: the caller's own rows commit with the event, or neither does", async () => {
  await withStore(async (db) => {
    const actor = { kind: "api" as const, id: "key-1" };
    const receipt = await one(db, canonical(), {
      channel: "http",
      actor,
      requestId: "req-1",
      within: async (tx, { seq }) =>
        void await insertEvent(tx, event({ id: `beside-${seq}`, permitId: "x" })),
    });
    assert.equal(receipt.verdict, "accepted");
    assert.deepEqual((await allEvents(db)).map(({ id, channel }) => `${id} ${channel}`), [
      "evt-0192 http",
      "beside-1 amqp",
    ]);
    const [entry] = (await listAudit(db, {}, ALL)).items;
    assert.deepEqual([entry?.actor, entry?.requestId], [actor, "req-1"]);
    await assert.rejects(
      one(db, canonical({ id: "other", revision: 8 }), {
        within: () => Promise.reject(new Error("no room")),
      }),
      /no room/,
    );
    assert.equal((await allEvents(db)).length, 2);
    assert.equal((await getPermit(db, "permit-001"))?.version, 1);
  });
});

Deno.test("acceptBatch: strangers without a permit are recorded, bodies with NUL and quotes too", async () => {
  await withStore(async (db) => {
    const stranger = await one(db, {
      type: "permit.setup.approved",
      note: "a\u0000b",
      id: "it's; drop table events",
    });
    assert.deepEqual([stranger.verdict, stranger.permitId, stranger.id], [
      "ignored",
      null,
      "it's; drop table events",
    ]);
    const nul = await one(db, { type: "permit.deleted", permitId: "a\u0000b" });
    assert.deepEqual([nul.verdict, nul.permitId], ["rejected", null]);
    const odd = await one(db, { type: "permit.deleted", permitId: "__proto__", id: "x" });
    assert.equal(odd.verdict, "accepted");
    assert.equal((await getPermit(db, "__proto__"))?.deletion, "requested");
  });
});

Deno.test("acceptBatch: a rejected event names the words that the site does not know beside its other faults", async () => {
  const badUid = { researchers: [{ username: "j.virtanen", uid: -1 }] };
  const clash = { reviewer: { username: "r", uid: 21001 }, researchers: [{ username: "j.v", uid: 21001 }] };
  const cases: [why: string, body: unknown, paths: string[]][] = [
    ["a field's value", canonical({}, { ...badUid, status: "PAUSED", tier: "huge" }), [
      "data.researchers[0].uid",
      "data.status",
      "data.tier",
    ]],
    ["a list beyond its bound", canonical({}, { dataHolders: Array(51).fill({}), status: "PAUSED" }), [
      "data.dataHolders",
      "data.status",
    ]],
    ["the envelope", canonical({ revision: -1 }, { status: "PAUSED" }), ["revision", "data.status"]],
    ["people who clash", canonical({}, { ...clash, status: "PAUSED" }), [
      "data.researchers[0].uid",
      "data.status",
    ]],
    ["a word that is none, once", canonical({}, { ...badUid, status: 7 }), [
      "data.status",
      "data.researchers[0].uid",
    ]],
    ["known words", canonical({}, badUid), ["data.researchers[0].uid"]],
    [
      "a halt, whose fields nobody reads",
      canonical({ type: "permit.halted", revision: -1 }, { status: "PAUSED" }),
      [
        "revision",
      ],
    ],
  ];
  await withStore(async (db) => {
    for (const [why, body, paths] of cases) {
      const { verdict, reasons } = await one(db, body);
      assert.equal(verdict, "rejected", why);
      assert.deepEqual(reasons.map(({ path }) => path), paths, why);
    }
  });
});

Deno.test("acceptBatch: a private key is not kept, wherever it stood and however it was written", async () => {
  const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n";
  const withKeys = (sshPublicKeys: string[]): unknown =>
    canonical({ data: { dataHolders: [{ ...holder("h"), sshPublicKeys }] } });
  const cases: Array<[why: string, body: unknown, verdict: string, kept: RegExp]> = [
    [
      "as a public key",
      withKeys([key]),
      "rejected",
      /"evt-0192".*\[private key removed\].*"allowedCidrs"|removed/,
    ],
    ["line by line", withKeys(key.split("\n")), "rejected", /"evt-0192".*\[private key removed\]/],
    ["cut off", withKeys([key.slice(0, 50)]), "rejected", /"evt-0192".*\[private key removed\]/],
    [
      "where nobody reads",
      { ...minimal("permit-001", "ANALYSIS_ACTIVE"), comment: key },
      "accepted",
      /\[private key removed\]/,
    ],
    [
      "escaped",
      new TextEncoder().encode(JSON.stringify(withKeys([key])).replaceAll("-", "\\u002d")),
      "rejected",
      /^\[private key removed\]$/,
    ],
  ];
  for (const [why, body, verdict, kept] of cases) {
    await withStore(async (db) => {
      const receipt = await one(db, body);
      assert.equal(receipt.verdict, verdict, why);
      const text = new TextDecoder().decode(await getEventBody(db, receipt.seq) ?? new Uint8Array());
      assert.match(text, kept, why);
      assert.doesNotMatch(text, /c2VjcmV0/, why);
      const rows = JSON.stringify([await allEvents(db), (await listAudit(db, {}, ALL)).items]);
      assert.doesNotMatch(rows, /c2VjcmV0/, why);
    });
  }
});
