import assert from "node:assert/strict";
import { acceptBatch } from "../../src/intake/accept.ts";
import { appendAudit, listAudit } from "../../src/store/audit.ts";
import { ISOLATION_BREACHED } from "../../src/store/halts.ts";
import { builtInPhases } from "../core/plan_fixture.ts";
import { endJob, PEOPLE, PERMIT, post, type Service, statusEvent, withService } from "./service.ts";

const AT = `/api/v1/permits/${PERMIT}`;
const AS_ANNA = { "X-WPS-Operator": "anna" };

// deno-lint-ignore no-explicit-any -- JSON of the API, judged field by field
async function shown(service: Service): Promise<any> {
  return await (await service.ask(AT)).json();
}

Deno.test("POST /permits/{permitId}/halt: an event with the operator as actor, its reason in the audit, an urgent job", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    await service.settle();
    const response = await service.ask(`${AT}/halt`, post({ reason: "suspected leak" }, AS_ANNA));
    const receipt = await response.json();
    assert.deepEqual([response.status, receipt.verdict, receipt.permitId, receipt.source], [
      202,
      "accepted",
      PERMIT,
      "wps",
    ]);
    const job = await (await service.ask(`/api/v1/jobs/${receipt.jobId}`)).json();
    assert.deepEqual([job.kind, job.eventSeq], ["halt", receipt.seq]);
    const event = await (await service.ask(`/api/v1/events/${receipt.seq}`)).json();
    assert.deepEqual([event.type, event.channel], ["permit.halted", "cli"]);
    const rows = (await listAudit(service.db, { eventSeq: receipt.seq }, { cursor: null, limit: 5 })).items;
    assert.deepEqual(
      rows.map(({ action, actor, outcome, reason, target }) => [action, actor, outcome, reason, target]),
      [
        ["halt.requested", { kind: "operator", id: "anna" }, "done", "suspected leak", PERMIT],
        ["event.accepted", { kind: "operator", id: "anna" }, "done", null, "permit.halted"],
      ],
    );
    const before = await shown(service);
    assert.deepEqual(
      before.troubles.filter(({ message }: { message: string }) => message.includes("not yet seen to be cut"))
        .map(({ target }: { target: string }) => target),
      ["research/j.virtanen", "research/l.maes"],
      "what still stands open is named first",
    );
    await service.settle();
    const { halt, troubles, status } = await shown(service);
    assert.equal(status, "HALTED");
    assert.deepEqual([halt.since, halt.orders], [halt.orders[0].at, [{
      at: halt.since,
      by: { kind: "operator", id: "anna" },
      reason: "suspected leak",
      breached: null,
      eventSeq: receipt.seq,
    }]]);
    const [trouble] = troubles;
    assert.match(trouble.message, /was halted at .* by operator anna: suspected leak; its network is cut/);
    assert.match(trouble.advice, /Then run wps resume permit-001$/);
  }));

Deno.test("POST /permits/{permitId}/halt: every order of the halt that stands is told, none of an earlier one", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    await service.ask(`${AT}/halt`, post({ reason: "a drill" }));
    await service.ask(`${AT}/resume`, post({ reason: "the drill is over" }));
    assert.equal((await shown(service)).halt, null);
    await service.event({ type: "permit.halted" });
    await breach(service);
    await service.ask(`${AT}/halt`, { method: "POST" });
    const { halt, troubles } = await shown(service);
    assert.deepEqual(
      // deno-lint-ignore no-explicit-any -- JSON of the API
      halt.orders.map(({ by, reason, breached }: any) => [by.kind, by.id, reason, breached]),
      [
        ["operator", "unix", null, null],
        ["service", "boot-1", "a probe beside it reached tcp 192.0.2.1:443", "research/j.virtanen"],
        ["operator", "unix", null, null],
      ],
    );
    const trouble = troubles.find(({ target }: { target: string }) => target === "permit");
    assert.match(trouble.message, /was halted at .* by operator unix; its network/);
    assert.match(trouble.advice, /close the way out; WPS halts again while it stands/);
  }));

/** What the service does when it finds a way out. */
async function breach({ db, deps }: Service): Promise<void> {
  const event = { id: "breach-1", source: "wps", type: "permit.halted", permitId: PERMIT, data: {} };
  const actor = { kind: "service", id: "boot-1" } as const;
  const rules = {
    phases: await builtInPhases(),
    tiers: new Set(["standard"]),
    uidRange: [30000, 39999] as const,
  };
  const raw = {
    body: new TextEncoder().encode(JSON.stringify(event)),
    contentType: "application/json",
    contentEncoding: null,
    headers: {},
    routingKey: null,
    messageId: null,
  };
  await db.write((tx) =>
    acceptBatch(
      tx,
      [{
        raw,
        channel: "wps",
        redelivered: false,
        recordedBefore: 0,
        actor,
        requestId: null,
        within: (tx, { seq }) =>
          appendAudit(tx, [{
            atMs: deps.clock.now(),
            permitId: PERMIT,
            eventSeq: seq,
            jobId: null,
            actor,
            action: ISOLATION_BREACHED,
            target: "research/j.virtanen",
            outcome: "failed",
            reason: "a probe beside it reached tcp 192.0.2.1:443",
            requestId: null,
          }]),
      }],
      rules,
      deps.clock.now(),
    )
  );
}

Deno.test("POST /permits/{permitId}/halt and /resume: what makes no sense is refused and records nothing", () =>
  withService(async (service) => {
    const answer = async (path: string, body: unknown = {}): Promise<[number, string]> => {
      const response = await service.ask(`/api/v1/permits/${path}`, post(body));
      return [response.status, (await response.json()).type?.split(":").at(-1) ?? ""];
    };
    assert.deepEqual(
      await answer("permit-0O1/halt"),
      [404, "not-found"],
      "a mistyped id must not look halted",
    );
    assert.deepEqual(await answer("permit-0O1/resume"), [404, "not-found"]);
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    assert.deepEqual(await answer(`${PERMIT}/resume`), [409, "state-conflict"], "it is not halted");
    const wrong: unknown[] = [{ reason: "" }, { reason: "x".repeat(501) }, { raeson: "x" }, [], "no JSON", {
      reason: 1,
    }];
    for (const body of wrong) {
      assert.deepEqual(await answer(`${PERMIT}/halt`, body), [400, "invalid-request"], JSON.stringify(body));
    }
    assert.deepEqual(await answer(`${PERMIT}/halt`, { reason: "x".repeat(9000) }), [413, "body-too-large"]);
    const events = await (await service.ask("/api/v1/events")).json();
    assert.equal(events.items.length, 1);
    const held = await service.ask("/api/v1/permits/permit-2/halt", post({ force: true }));
    assert.equal(held.status, 202, "held before its first event");
    const early = await (await service.ask("/api/v1/permits/permit-2")).json();
    assert.deepEqual([early.halted, early.phase], [true, null]);
  }));

Deno.test("POST /permits/{permitId}/halt and /resume: a deleted permit has nothing to halt, one being deleted has", () =>
  withService(async (service) => {
    await service.event(statusEvent("WORKSPACE_SETUP_PENDING", PEOPLE));
    await service.settle();
    await service.event({ type: "permit.deleted" });
    assert.equal((await service.ask(`${AT}/halt`, post({}))).status, 202);
    assert.equal((await service.ask(`${AT}/resume`, post({}))).status, 202);
    await service.db.write((tx) => tx.run("update permits set deletion = 'done'", []));
    for (const order of ["halt", "resume"]) {
      const response = await service.ask(`${AT}/${order}`, post({}));
      assert.deepEqual(
        [response.status, (await response.json()).detail.includes("deleted")],
        [409, true],
        order,
      );
    }
  }));

Deno.test("POST /permits/{permitId}/resume: repeated under one key it is one event, also once it is resumed", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    await service.ask(`${AT}/halt`, post({}));
    const send = (body: unknown): Promise<Response> =>
      service.ask(`${AT}/resume`, post(body, { "Idempotency-Key": "k1" }));
    const first = await (await send({ reason: "mended" })).json();
    const again = await send({ reason: "mended" });
    assert.equal(again.headers.get("Idempotency-Replayed"), "true");
    assert.deepEqual(await again.json(), first);
    assert.equal((await send({ reason: "other" })).status, 422);
    assert.equal(
      (await service.ask(`${AT}/resume`, post({}))).status,
      409,
      "without the key it is a new order",
    );
    const job = await endJob(service.db, "succeeded");
    assert.equal(job.kind, "reconcile");
  }));
