import assert from "node:assert/strict";
import { sha256Hex } from "../../src/core/sha256.ts";
import type { Verdict } from "../../src/core/event.ts";
import {
  absorb,
  BODY_KEPT_WHOLE_BYTES,
  BODY_PREFIX_BYTES,
  findEvent,
  findUnackedTwins,
  getEvent,
  getEventBody,
  insertEvent,
  listEvents,
  markAcked,
  type NewEvent,
} from "../../src/store/events.ts";
import type { Db } from "../../src/store/db.ts";
import { event, withStore } from "./fixture.ts";

const insert = (db: Db, change: Partial<NewEvent> = {}): Promise<number> =>
  db.write((tx) => insertEvent(tx, event(change)));

Deno.test("insertEvent: the row comes back as it went in", async () => {
  await withStore(async (db) => {
    const given = event({
      revision: 7,
      time: "2026-11-22T10:00:00Z",
      verdict: "rejected",
      reasons: [{ path: "data.researchers[0].uid", message: "must be at least 1000" }],
      update: { people: ["researchers" as const], status: "ARCHIVED", expiresAt: null },
      body: new Uint8Array([0, 255, 13, 10]),
    });
    const seq = await db.write((tx) => insertEvent(tx, given));
    const { body, ...rest } = given;
    const expected = {
      ...rest,
      seq,
      bodyBytes: 4,
      unknownFields: { paths: [], count: 0 },
      ackedAtMs: null,
      absorbed: false,
      identity: false,
    };
    assert.deepEqual(await getEvent(db, seq), expected);
    assert.deepEqual(await getEventBody(db, seq), body);
    assert.equal(await getEvent(db, seq + 1), null);
    assert.equal(await getEventBody(db, seq + 1), null);
  });
});

Deno.test("insertEvent: what could not be read of a message is null, and NUL does not make it unwritable", async () => {
  await withStore(async (db) => {
    const nothing = { source: null, id: null, type: null, permitId: null };
    const seq = await insert(db, { ...nothing, verdict: "rejected" });
    assert.equal((await getEvent(db, seq))?.identity, false);
    const strange = await insert(db, { id: "a\0b", permitId: "p\0", verdict: "rejected" });
    assert.equal((await getEvent(db, strange))?.id, "a\u{fffd}b");
  });
});

const BODIES: [what: string, bytes: number, given: number | undefined, kept: number, length: number][] = [
  ["an empty body", 0, undefined, 0, 0],
  [
    "the longest that is kept whole",
    BODY_KEPT_WHOLE_BYTES,
    undefined,
    BODY_KEPT_WHOLE_BYTES,
    BODY_KEPT_WHOLE_BYTES,
  ],
  ["one byte more", BODY_KEPT_WHOLE_BYTES + 1, undefined, BODY_PREFIX_BYTES, BODY_KEPT_WHOLE_BYTES + 1],
  ["one that the receiver cut", BODY_PREFIX_BYTES, 50_000_000, BODY_PREFIX_BYTES, 50_000_000],
];
for (const [what, bytes, bodyBytes, kept, length] of BODIES) {
  Deno.test(`insertEvent: of ${what} ${kept} bytes are kept, and its length`, async () => {
    await withStore(async (db) => {
      const body = Uint8Array.from({ length: bytes }, (_, index) => index & 0xff);
      const seq = await insert(db, { body, bodyBytes });
      assert.deepEqual(await getEventBody(db, seq), body.slice(0, kept));
      assert.equal((await getEvent(db, seq))?.bodyBytes, length);
    });
  });
}

const IDENTITIES: [first: Verdict, finds: boolean, why: string][] = [
  ["accepted", true, "it was taken"],
  ["stale", true, "its redelivery is a duplicate, not stale again"],
  ["rejected", false, "what was dead-lettered may be sent again, mended"],
  ["duplicate", false, "the row that it repeats has the identity"],
  ["conflict", false, "it was refused and may be sent again"],
  ["ignored", false, "ignored events take no part in duplicate checks"],
];
for (const [verdict, finds, why] of IDENTITIES) {
  Deno.test(`findEvent: ${verdict} ${finds ? "establishes" : "does not establish"} the identity, because ${why}`, async () => {
    await withStore(async (db) => {
      const seq = await insert(db, { verdict });
      assert.equal((await findEvent(db, "permit-manager", "evt-1"))?.seq ?? null, finds ? seq : null);
      assert.equal(await findEvent(db, "other-source", "evt-1"), null);
      assert.equal(await findEvent(db, "permit-manager", "evt-2"), null);
    });
  });
}

Deno.test("findEvent: later rows of an identity never replace the one that established it", async () => {
  await withStore(async (db) => {
    await insert(db, { verdict: "ignored" });
    const seq = await insert(db);
    for (const verdict of ["duplicate", "conflict", "rejected", "ignored"] as const) {
      await insert(db, { verdict });
    }
    assert.equal((await findEvent(db, "permit-manager", "evt-1"))?.seq, seq);
  });
});

for (const verdict of ["accepted", "stale"] as const) {
  Deno.test(`insertEvent: a second ${verdict} row of one identity is refused by the database itself`, async () => {
    await withStore(async (db) => {
      await insert(db);
      await assert.rejects(insert(db, { verdict }), { name: "Fault", reason: "conflict" });
    });
  });
}

const TWINS: [change: Partial<NewEvent>, isTwin: boolean, why: string][] = [
  [{}, true, "same permit, type and body, no id, not acknowledged"],
  [{ verdict: "duplicate" }, true, "a duplicate's acknowledgement may be lost as well"],
  [{ id: "evt-9" }, false, "a message with an id is judged by it"],
  [{ verdict: "rejected" }, false, "its dead letter may be what is missing"],
  [{ channel: "http" }, false, "HTTP does not redeliver"],
  [{ permitId: "q" }, false, "another permit"],
  [{ type: "permit.halted" }, false, "another type"],
  [{ bodyHash: "hash-2" }, false, "another body"],
];
for (const [change, isTwin, why] of TWINS) {
  Deno.test(`findUnackedTwins: ${isTwin ? "finds" : "leaves out"} ${JSON.stringify(change)}: ${why}`, async () => {
    await withStore(async (db) => {
      const seq = await insert(db, { id: null, ...change });
      const twins = await findUnackedTwins(db, "p", "permit.status.updated", "hash-1");
      assert.deepEqual(twins.map((twin) => twin.seq), isTwin ? [seq] : []);
    });
  });
}

Deno.test("absorb: each twin absorbs exactly one redelivery, the oldest first", async () => {
  await withStore(async (db) => {
    const twins = async (): Promise<number[]> =>
      (await findUnackedTwins(db, "p", "permit.status.updated", "hash-1")).map(({ seq }) => seq);
    const first = await insert(db, { id: null });
    const second = await insert(db, { id: null });
    assert.deepEqual(await twins(), [first, second]);
    assert.equal(await db.write((tx) => absorb(tx, first)), true);
    assert.equal(await db.write((tx) => absorb(tx, first)), false);
    assert.deepEqual(await twins(), [second]);
  });
});

Deno.test("markAcked: an acknowledged row is no twin any more; the first time stays", async () => {
  await withStore(async (db) => {
    const seqs = [
      await insert(db, { id: null }),
      await insert(db, { id: null }),
      await insert(db, { id: null }),
    ];
    await db.write((tx) => markAcked(tx, seqs.slice(0, 2), 70));
    await db.write((tx) => markAcked(tx, seqs.slice(0, 1), 80));
    await db.write((tx) => markAcked(tx, [], 90));
    assert.deepEqual((await Promise.all(seqs.map((seq) => getEvent(db, seq)))).map((row) => row?.ackedAtMs), [
      70,
      70,
      null,
    ]);
    const twins = await findUnackedTwins(db, "p", "permit.status.updated", "hash-1");
    assert.deepEqual(twins.map(({ seq }) => seq), seqs.slice(2));
  });
});

const LISTS: [filter: Parameters<typeof listEvents>[1], ids: string[]][] = [
  [{}, ["e3", "e2", "e1"]],
  [{ permitId: "p" }, ["e2", "e1"]],
  [{ verdict: "rejected" }, ["e3"]],
  [{ type: "permit.halted" }, ["e2"]],
  [{ sinceMs: 2 }, ["e3", "e2"]],
  [{ permitId: "p", sinceMs: 2 }, ["e2"]],
];
for (const [filter, ids] of LISTS) {
  Deno.test(`listEvents: ${JSON.stringify(filter)} gives ${ids.join(", ")}, newest first`, async () => {
    await withStore(async (db) => {
      await insert(db, { id: "e1", receivedAtMs: 1 });
      await insert(db, { id: "e2", receivedAtMs: 2, type: "permit.halted" });
      await insert(db, { id: "e3", receivedAtMs: 3, permitId: "q", verdict: "rejected" });
      const { items } = await listEvents(db, filter, { cursor: null, limit: 10 });
      assert.deepEqual(items.map(({ id }) => id), ids);
    });
  });
}

Deno.test("listEvents: goes on from a cursor, and refuses one that is none", async () => {
  await withStore(async (db) => {
    for (const id of ["e1", "e2", "e3"]) await insert(db, { id });
    const first = await listEvents(db, {}, { cursor: null, limit: 2 });
    const second = await listEvents(db, {}, { cursor: first.next, limit: 2 });
    assert.deepEqual([...first.items, ...second.items].map(({ id }) => id), ["e3", "e2", "e1"]);
    assert.equal(second.next, null);
    await assert.rejects(listEvents(db, {}, { cursor: "x'; --", limit: 2 }), { reason: "invalid" });
  });
});

Deno.test("insertEvent: a body's hash is the sender's business, its bytes stay bytes", async () => {
  await withStore(async (db) => {
    const text = '{"permitId":"p","status":"ANALYSIS_ACTIVE"}';
    const seq = await insert(db, { body: new TextEncoder().encode(text), bodyHash: sha256Hex(text) });
    assert.equal(
      sha256Hex(new TextDecoder().decode(await getEventBody(db, seq) ?? undefined)),
      sha256Hex(text),
    );
  });
});
