import assert from "node:assert/strict";
import type { Db } from "../../src/store/db.ts";
import { listAudit } from "../../src/store/audit.ts";
import { saveRefused } from "../../src/store/refused_uploads.ts";
import { listVolumes, upsertVolume } from "../../src/store/volumes.ts";
import { endJob, PEOPLE, PERMIT, post, type Service, statusEvent, withService } from "./service.ts";

const UPLOADS = `/api/v1/permits/${PERMIT}/uploads`;
const KEY = "uploads/hospital-a";
const LIST = "a1".repeat(32), NEWER = "b2".repeat(32);
const AS_ANNA = { "X-WPS-Operator": "anna" };

/** A permit whose consolidation failed because of the list. */
async function refused({ db, event }: Service, list = LIST): Promise<void> {
  await event(statusEvent("DATA_PREPARATION_PENDING", PEOPLE));
  await endJob(db, "failed");
  await see(db, KEY, list, Date.now());
}

async function see(db: Db, key: string, listHash: string, atMs: number): Promise<void> {
  await db.write(async (tx) => {
    await upsertVolume(tx, PERMIT, { key, tainted: false, bound: true, destroyed: false }, atMs);
    await saveRefused(tx, PERMIT, key, { listHash, count: 2, shown: ["link ./a -> b"] }, atMs);
  });
}

const accept = (service: Service, body: unknown, holder = "hospital-a", headers = {}): Promise<Response> =>
  service.ask(`${UPLOADS}/${holder}/accept`, post(body, { ...AS_ANNA, ...headers }));

async function acceptedOf({ db }: Service, key = KEY): Promise<string | null | undefined> {
  return (await listVolumes(db, PERMIT)).find((volume) => volume.key === key)?.acceptedList;
}

Deno.test("GET /permits/{permitId}/uploads: what is refused, and by status as a trouble with the command", () =>
  withService(async (service) => {
    assert.equal((await service.ask(UPLOADS)).status, 404);
    await refused(service);
    const { items } = await (await service.ask(UPLOADS)).json();
    assert.deepEqual(items, [{
      holder: "hospital-a",
      batch: 1,
      volume: KEY,
      count: 2,
      shown: ["link ./a -> b"],
      list: LIST,
      seenAt: items[0].seenAt,
      acceptedAt: null,
      acceptedBy: null,
    }]);
    const { troubles } = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
    const trouble = troubles.find(({ reason }: { reason: string }) => reason === "consolidation-refused");
    assert.equal(trouble.target, KEY);
    assert.ok(trouble.advice.includes(`wps uploads accept ${PERMIT} hospital-a --list ${LIST}`));
  }));

Deno.test("POST …/accept: this list of this holder, with the operator in the audit, and the job runs again", () =>
  withService(async (service) => {
    await refused(service);
    await see(service.db, "uploads/hospital-b", LIST, Date.now());
    const response = await accept(service, { list: LIST }, "hospital-a", { "Idempotency-Key": "k1" });
    const { job } = await response.json();
    assert.deepEqual([response.status, job.state, job.permitId], [202, "queued", PERMIT]);
    assert.deepEqual(service.woken.at(-1), PERMIT);
    assert.deepEqual([await acceptedOf(service), await acceptedOf(service, "uploads/hospital-b")], [
      LIST,
      null,
    ]);
    const [row] =
      (await listAudit(service.db, { action: "uploads.accepted" }, { cursor: null, limit: 5 })).items;
    assert.deepEqual([row?.actor, row?.target, row?.outcome, row?.jobId], [
      { kind: "operator", id: "anna" },
      `${KEY} without list ${LIST}`,
      "done",
      job.id,
    ]);
    const again = await accept(service, { list: LIST }, "hospital-a", { "Idempotency-Key": "k1" });
    assert.deepEqual([again.headers.get("Idempotency-Replayed"), (await again.json()).job.id], [
      "true",
      job.id,
    ]);
    const rows =
      (await listAudit(service.db, { action: "uploads.accepted" }, { cursor: null, limit: 5 })).items;
    assert.equal(rows.length, 1);
    const { items } = await (await service.ask(UPLOADS)).json();
    assert.deepEqual([items[0].acceptedBy, items[1].acceptedBy], ["operator:anna", null]);
    const { troubles } = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
    assert.deepEqual(
      troubles.filter(({ reason }: { reason: string }) => reason === "consolidation-refused")
        .map(({ target }: { target: string }) => target),
      ["uploads/hospital-b"],
    );
  }));

Deno.test("POST …/accept: an open job of the permit does it", () =>
  withService(async (service) => {
    await service.event(statusEvent("DATA_PREPARATION_PENDING", PEOPLE));
    await see(service.db, KEY, LIST, Date.now());
    const response = await accept(service, { list: LIST });
    assert.deepEqual([response.status, (await response.json()).job.id], [202, 1]);
  }));

const REFUSED: [why: string, body: unknown, holder: string, status: number, says: RegExp][] = [
  ["an older list", { list: LIST }, "hospital-a", 409, /newest list .* is another one/],
  ["a list that nobody has seen", { list: "c".repeat(64) }, "hospital-a", 409, /is another one/],
  ["a holder without refused uploads", { list: NEWER }, "hospital-c", 404, /have no list/],
  ["an ingress that was not", { list: NEWER, batch: 2 }, "hospital-a", 404, /have no list/],
  ["two ingresses with one list", { list: NEWER }, "hospital-b", 409, /of 2 ingresses/],
  ["no hash", { list: "x" }, "hospital-a", 400, /body is not as it should be/],
  ["no list", {}, "hospital-a", 400, /body is not as it should be/],
  ["a field too many", { list: NEWER, force: true }, "hospital-a", 400, /body is not as it should be/],
];

for (const [why, body, holder, status, says] of REFUSED) {
  Deno.test(`POST …/accept: refuses ${why}`, () =>
    withService(async (service) => {
      await refused(service);
      await see(service.db, KEY, NEWER, Date.now() + 1);
      for (const key of ["uploads/hospital-b", "uploads/hospital-b@2"]) await see(service.db, key, NEWER, 5);
      const response = await accept(service, body, holder);
      const problem = await response.json();
      assert.deepEqual([response.status, says.test(problem.detail)], [status, true], JSON.stringify(problem));
      assert.deepEqual([await acceptedOf(service), await acceptedOf(service, "uploads/hospital-b")], [
        null,
        null,
      ]);
      assert.deepEqual(
        (await listAudit(service.db, { action: "uploads.accepted" }, { cursor: null, limit: 5 })).items,
        [],
      );
    }));
}
