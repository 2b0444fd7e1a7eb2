import assert from "node:assert/strict";
import { getJob } from "../../src/store/jobs.ts";
import type { PostedEvent } from "../../src/api/deps.ts";
import { KEY, PEOPLE, PERMIT, post, statusEvent, withService } from "./service.ts";

const EVENTS = "/api/v1/events";

Deno.test("POST /events: each verdict has its answer, and each is recorded", () =>
  withService(async (service) => {
    const first = { id: "e1", permitId: PERMIT, revision: 5, ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) };
    const cases: { why: string; event: unknown; status: number; verdict: string }[] = [
      { why: "new", event: first, status: 202, verdict: "accepted" },
      { why: "the same again", event: first, status: 202, verdict: "duplicate" },
      {
        why: "the same id with another body",
        event: { ...first, revision: 6 },
        status: 409,
        verdict: "conflict",
      },
      {
        why: "an earlier revision",
        event: { ...first, id: "e0", revision: 4 },
        status: 202,
        verdict: "stale",
      },
      {
        why: "not ours",
        event: { id: "x", type: "permit.analysis.approved", permitId: PERMIT },
        status: 202,
        verdict: "ignored",
      },
      {
        why: "an unknown status",
        event: { ...first, id: "e2", revision: 7, data: { status: "NONSENSE" } },
        status: 422,
        verdict: "rejected",
      },
      {
        why: "no permit",
        event: { id: "e3", type: "permit.status.updated", data: { status: "ARCHIVED" } },
        status: 422,
        verdict: "rejected",
      },
      { why: "not JSON", event: "{", status: 422, verdict: "rejected" },
      { why: "not an object", event: "[]", status: 422, verdict: "rejected" },
      { why: "nothing", event: "", status: 422, verdict: "rejected" },
    ];
    for (const { why, event, status, verdict } of cases) {
      const response = await service.ask(EVENTS, post(event));
      const answer = await response.json();
      assert.deepEqual([response.status, answer.verdict], [status, verdict], why);
      assert.equal(
        response.headers.get("Content-Type"),
        `application/${status === 202 ? "" : "problem+"}json`,
        why,
      );
      const recorded = await (await service.ask(`${EVENTS}/${answer.seq}`)).json();
      assert.deepEqual([recorded.verdict, recorded.channel], [verdict, "cli"], why);
    }
    const listed = await (await service.ask(`${EVENTS}?verdict=rejected&limit=3`)).json();
    assert.equal(listed.items.length, 3);
    const rest = await (await service.ask(`${EVENTS}?verdict=rejected&cursor=${listed.nextCursor}`)).json();
    assert.deepEqual([rest.items.length, rest.nextCursor], [2, null]);
  }));

Deno.test("POST /events: a rejection names each field, a receipt the job", () =>
  withService(async (service) => {
    const researchers = [{ username: "root" }, { username: "j.virtanen", uid: 0, gid: 0 }];
    const bad = await service.ask(
      EVENTS,
      post({ permitId: PERMIT, ...statusEvent("ANALYSIS_ACTIVE", { researchers }) }),
    );
    const problem = await bad.json();
    assert.equal(problem.type, "urn:wps:problem:event-rejected");
    const paths = problem.errors.map(({ path }: { path: string }) => path);
    assert.ok(paths.includes("data.researchers[0].username"), JSON.stringify(paths));
    assert.ok(paths.includes("data.researchers[1].uid"), JSON.stringify(paths));
    const good = await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const job = await getJob(service.db, Number(good["jobId"]));
    assert.equal(job?.eventSeq, good["seq"]);
  }));

Deno.test("POST /events: CloudEvents 1.0, structured and binary", () =>
  withService(async (service) => {
    const attributes = {
      specversion: "1.0",
      id: "ce-1",
      source: "/spe/permits",
      type: "permit.status.updated",
    };
    const data = { permitId: PERMIT, status: "AWAITING_INGRESS" };
    const structured = await service.ask(EVENTS, {
      method: "POST",
      headers: { "Content-Type": "application/cloudevents+json; charset=utf-8" },
      body: JSON.stringify({ ...attributes, datacontenttype: "application/json", data }),
    });
    const receipt = await structured.json();
    assert.deepEqual([receipt.verdict, receipt.source, receipt.id], ["accepted", "/spe/permits", "ce-1"]);
    const headers = Object.fromEntries(
      Object.entries({ ...attributes, id: "ce-2" }).map(([name, value]) => [`ce-${name}`, value]),
    );
    const binary = await service.ask(EVENTS, post(data, headers));
    assert.deepEqual((await binary.json()).id, "ce-2");
  }));

Deno.test("POST /events: bounds hold before anything is parsed", () =>
  withService(async (service) => {
    const long = await service.ask(EVENTS, post(`"${"x".repeat(1024 * 1024)}"`));
    const problem = await long.json();
    assert.deepEqual([long.status, problem.type, problem.verdict], [
      413,
      "urn:wps:problem:body-too-large",
      "rejected",
    ]);
    const kept = await (await service.ask(`${EVENTS}/${problem.seq}`)).json();
    assert.equal(kept.body.length, 64 * 1024, "its beginning is kept");

    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller): void {
        pulled++;
        controller.enqueue(new Uint8Array(64 * 1024));
      },
    });
    const response = await service.ask(EVENTS, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: endless,
    });
    assert.equal(response.status, 413);
    await response.body?.cancel();
    assert.ok(pulled < 24, `read ${pulled} chunks of an endless body`);

    for (
      const [type, status] of [["text/plain", 415], ["application/xml", 415], ["", 415], [
        "application/jsonx",
        415,
      ]] as const
    ) {
      const refused = await service.ask(EVENTS, {
        method: "POST",
        headers: { "Content-Type": type },
        body: "{}",
      });
      assert.equal(refused.status, status, type);
      await refused.body?.cancel();
    }
  }));

Deno.test("POST /events: over TCP the channel is http and the actor the key", () =>
  withService(async (service) => {
    const body = { permitId: PERMIT, ...statusEvent("AWAITING_INGRESS") };
    const response = await service.ask(EVENTS, post(body, { Authorization: `Bearer ${KEY}` }), "tcp");
    const { seq } = await response.json();
    assert.equal((await (await service.ask(`${EVENTS}/${seq}`)).json()).channel, "http");
  }));

Deno.test("POST /events: the intake gets CloudEvents' attributes and no credentials", async () => {
  const seen: PostedEvent[] = [];
  await withService(async (service) => {
    const headers = {
      Authorization: `Bearer ${KEY}`,
      Cookie: "a=b",
      "ce-specversion": "1.0",
      "X-Request-Id": "r-1",
    };
    await service.ask(EVENTS, post({}, headers), "tcp");
  }, {
    deps: ({ accept }) => ({
      accept: (event, within) => {
        seen.push(event);
        assert.ok(accept !== null);
        return accept(event, within);
      },
    }),
  });
  const { headers, channel, actor, requestId } = seen[0] ?? {};
  assert.deepEqual({ headers, channel, actor, requestId }, {
    headers: { "ce-specversion": "1.0" },
    channel: "http",
    actor: { kind: "api", id: "configured-key" },
    requestId: "r-1",
  });
});

Deno.test("GET /events/{seq}: an unknown one, and numbers that are none", () =>
  withService(async (service) => {
    assert.equal((await service.ask(`${EVENTS}/1`)).status, 404);
    for (const seq of ["0", "-1", "x", "1.5", "1e99"]) {
      assert.equal((await service.ask(`${EVENTS}/${seq}`)).status, 400, seq);
    }
    assert.equal((await service.ask(`${EVENTS}?cursor=abc`)).status, 400);
  }));

Deno.test("GET /events: each says what it gives, and of tier, date and people only what differs", () =>
  withService(async (service) => {
    const send = (event: Record<string, unknown>, verdict: string): Promise<unknown> =>
      service.event({ type: "permit.status.updated", ...event }, verdict);
    await send({ data: { status: "WORKSPACE_SETUP_PENDING", tier: "standard", ...PEOPLE } }, "accepted");
    await send({ data: { status: "ANALYSIS_ACTIVE", tier: "standard", ...PEOPLE } }, "accepted");
    const researchers = [{ username: "new.one" }];
    await send({ data: { expiresAt: "2027-06-30T02:00:00+02:00", researchers } }, "accepted");
    await send({ data: { expiresAt: null } }, "accepted");
    await send({ data: { status: "PAUSED", expiresAt: "soon" } }, "rejected");
    const twice =
      `{"permitId":"${PERMIT}","type":"permit.status.updated","status":"ARCHIVED","status":"PAUSED"}`;
    assert.equal((await service.ask(EVENTS, post(twice))).status, 422);
    await service.event({ type: "permit.halted" });
    await service.event({ type: "permit.analysis.approved", data: { status: "ARCHIVED" } }, "ignored");
    const { items } = await (await service.ask(EVENTS)).json();
    const people = ["dataHolders", "preprocessor", "reviewer", "setupReviewer", "researchers"];
    assert.deepEqual(items.map(({ update }: { update: unknown }) => update).toReversed(), [
      { people, status: "WORKSPACE_SETUP_PENDING", tier: "standard" },
      { people: [], status: "ANALYSIS_ACTIVE" },
      { people: ["researchers"], expiresAt: "2027-06-30T00:00:00.000Z" },
      { people: [], expiresAt: null },
      { people: [], status: "PAUSED" },
      null,
      null,
      null,
    ]);
    assert.deepEqual((await (await service.ask(`${EVENTS}/2`)).json()).update, items.at(-2).update);
  }));

Deno.test("a malformed query or path says what is expected", () =>
  withService(async (service) => {
    const cases: [path: string, at: string, message: RegExp][] = [
      ["events?limit=foo", "query.limit", /^expected a whole number from 1 to 200$/],
      ["events?limit=0", "query.limit", /^expected a whole number from 1 to 200$/],
      ["jobs?limit=1.5", "query.limit", /^expected a whole number from 1 to 200$/],
      ["jobs/abc", "path.id", /^expected a whole number, 1 or more$/],
      ["jobs/0/events", "path.id", /^expected a whole number, 1 or more$/],
      ["events/99999999999999999999", "path.seq", /^expected a whole number, 1 or more$/],
      ["events?permit=x", "query.permit", /not a parameter.*known: limit, cursor, permitId, verdict, type$/],
      ["permits?phases=x", "query.phases", /known: limit, cursor, phase, status, halted, deletion$/],
      [`permits/${PERMIT}?deep=1`, "query.deep", /it takes none$/],
    ];
    for (const [path, at, message] of cases) {
      const response = await service.ask(`/api/v1/${path}`);
      const { errors } = await response.json();
      assert.deepEqual(
        [response.status, errors.length, errors[0].path],
        [400, 1, at],
        JSON.stringify(errors),
      );
      assert.match(errors[0].message, message, path);
    }
    const several = await (await service.ask("/api/v1/jobs?a=1&b=2")).json();
    assert.deepEqual(several.errors.map(({ path }: { path: string }) => path), ["query.a", "query.b"]);
  }));
