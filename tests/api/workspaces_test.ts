import assert from "node:assert/strict";
import { listAudit } from "../../src/store/audit.ts";
import { getPermit } from "../../src/store/permits.ts";
import { endJob, PEOPLE, PERMIT, post, type Service, statusEvent, withService } from "./service.ts";

const BASE = `/api/v1/workspaces/${PERMIT}`;

async function words(service: Service): Promise<unknown> {
  const response = await service.ask(`${BASE}/status`);
  assert.equal(response.status, 200);
  return await response.json();
}

Deno.test("GET /workspaces/{permitId}/status: follows a permit's life and has exactly one member", () =>
  withService(async (service) => {
    assert.equal((await service.ask(`${BASE}/status`)).status, 404, "an unknown permit");
    await service.event(statusEvent("AWAITING_INGRESS", PEOPLE));
    assert.deepEqual(await words(service), { status: "NONE" }, "the phase names no workspace");
    await service.event({ type: "permit.ingress.initiated" });
    assert.deepEqual(await words(service), { status: "PENDING" }, "an airlock is wanted, nobody has begun");
    await service.settle();
    assert.deepEqual(await words(service), { status: "RUNNING" }, "the airlock is open");
    await service.event(statusEvent("ANALYSIS_ACTIVE"));
    assert.deepEqual(await words(service), { status: "PENDING" }, "at once, before anybody looked again");
    await service.settle();
    assert.deepEqual(await words(service), { status: "RUNNING" });
    await service.event({ type: "permit.workspace.stop_requested" });
    assert.deepEqual(await words(service), { status: "STOPPING" }, "pods are still there");
    await service.settle();
    assert.deepEqual(await words(service), { status: "STOPPED" });
    await service.event({ type: "permit.workspace.start_requested" });
    await service.settle();
    assert.deepEqual(await words(service), { status: "RUNNING" });
    await service.event({ type: "permit.halted" });
    assert.deepEqual(await words(service), { status: "STOPPING" });
    await service.settle();
    assert.deepEqual(await words(service), { status: "HALTED" });
    await service.event({ type: "permit.resumed" });
    await service.event(statusEvent("ARCHIVED"));
    await service.settle();
    assert.deepEqual(await words(service), { status: "ARCHIVED" });
    await service.event({ type: "permit.deleted" });
    assert.deepEqual(await words(service), { status: "DESTROYING" });
  }));

Deno.test("GET /workspaces/{permitId}/status: a failed job shows, a running workspace beside it does not hide it", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", { researchers: [PEOPLE.researchers[0]] }));
    await service.settle();
    await service.event(statusEvent("ANALYSIS_ACTIVE", { researchers: PEOPLE.researchers }));
    assert.deepEqual(await words(service), { status: "PENDING" }, "the second researcher waits");
    await endJob(service.db, "failed");
    assert.deepEqual(await words(service), { status: "FAILED" });
  }));

Deno.test("GET /workspaces/{permitId}/connection: tells one running workspace, exactly, and audits it", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    await service.settle();
    const response = await service.ask(`${BASE}/connection?username=l.maes`, {
      headers: { "X-Request-Id": "gateway-7", "X-WPS-Operator": "root" },
    });
    assert.equal(response.headers.get("Cache-Control"), "no-store", "a password must not be kept on the way");
    assert.deepEqual(await response.json(), {
      connection: {
        protocol: "rdp",
        host: "l.maes.example",
        port: 3389,
        username: "l.maes",
        password: "password of research/l.maes",
      },
    });
    const { items } = await listAudit(service.db, { action: "connection.disclosed" }, {
      cursor: null,
      limit: 9,
    });
    assert.equal(items.length, 1);
    const { permitId, actor, target, outcome, requestId } = items[0] ?? {};
    assert.deepEqual({ permitId, actor, target, outcome, requestId }, {
      permitId: PERMIT,
      actor: { kind: "operator", id: "root" },
      target: "research/l.maes",
      outcome: "done",
      requestId: "gateway-7",
    });
  }));

Deno.test("GET /workspaces/{permitId}/connection: refuses with the reason that fits", () =>
  withService(async (service) => {
    const refusal = async (query: string): Promise<{ status: number; [member: string]: unknown }> => {
      const response = await service.ask(`${BASE}/connection${query}`);
      assert.equal(response.headers.get("Content-Type"), "application/problem+json");
      const problem = await response.json();
      assert.equal(problem.status, response.status);
      return { ...problem, type: problem.type.replace("urn:wps:problem:", "") };
    };
    const codes = (problem: Record<string, unknown>): unknown[] => [
      problem["status"],
      problem["type"],
      problem["reason"],
    ];
    assert.equal((await refusal("")).status, 404, "an unknown permit");
    await service.event(statusEvent("AWAITING_INGRESS", PEOPLE));
    const none = await refusal("");
    assert.deepEqual(codes(none), [409, "not-ready", "no-workspace"], "a phase without workspaces");
    await service.event(statusEvent("ANALYSIS_ACTIVE", { researchers: [] }));
    assert.deepEqual(codes(await refusal("")), [409, "not-ready", "members-missing"], "nobody named");
    await service.event(statusEvent("AWAITING_INGRESS", PEOPLE));

    await service.event(statusEvent("ANALYSIS_ACTIVE"));
    const early = await refusal("?username=l.maes");
    assert.deepEqual(codes(early), [409, "not-ready", "pod-not-ready"], "nothing started yet");
    assert.match(String(early["detail"]), /it is PENDING/);

    service.journey.reach(await permitOf(service), 12);
    await service.look({ state: "running", attempt: 1 });
    const unproven = await refusal("?username=l.maes");
    assert.deepEqual(codes(unproven), [409, "not-ready", "pod-not-ready"], "not proven yet");

    await service.settle();
    const ambiguous = await refusal("");
    assert.deepEqual([ambiguous.status, ambiguous["type"]], [409, "ambiguous"]);
    assert.deepEqual(ambiguous["usernames"], ["j.virtanen", "l.maes"]);
    const stranger = await refusal("?username=nobody");
    assert.deepEqual([stranger.status, stranger["type"]], [404, "not-found"]);
    assert.equal(
      (await refusal("?username=l.maes&kind=airlock")).status,
      404,
      "she has no workspace of this kind",
    );
    assert.equal(
      (await refusal("?user=l.maes")).status,
      400,
      "a misspelt parameter is refused, not overlooked",
    );

    await service.event(statusEvent("ANALYSIS_ACTIVE", { researchers: [PEOPLE.researchers[0]] }));
    assert.equal((await refusal("?username=l.maes")).status, 404, "no longer named: gone at once");
    await service.settle();
    assert.equal((await service.ask(`${BASE}/connection`)).status, 200, "one left: no choice needed");

    await service.event({ type: "permit.workspace.stop_requested" });
    const stopped = await refusal("");
    assert.deepEqual(codes(stopped), [409, "not-ready", "stopped"], "stopped, pods still there");
    assert.match(String(stopped["advice"]), /start_requested/);
    await service.event(statusEvent("ARCHIVED"));
    assert.deepEqual(codes(await refusal("")), [409, "not-ready", "no-workspace"], "archived, stop or not");
    await service.event({ type: "permit.halted" });
    assert.equal((await refusal(""))["reason"], "halted");
    await service.event({ type: "permit.deleted" });
    assert.deepEqual(codes(await refusal("")), [409, "not-ready", "deleted"], "halted or not");
  }));

Deno.test("GET /workspaces/{permitId}/connection: kind chooses as well, and no list has passwords", () =>
  withService(async (service) => {
    // A new ingress beside analysis: the airlock stays until the next status.
    await service.event(statusEvent("ANALYSIS_ACTIVE", { ...PEOPLE, researchers: [PEOPLE.researchers[0]] }));
    await service.event({ type: "permit.ingress.initiated" });
    await service.settle();
    const problem = await (await service.ask(`${BASE}/connection`)).json();
    assert.equal(problem.type, "urn:wps:problem:ambiguous");
    assert.deepEqual(problem.choices, [
      { username: "hospital-a-sftp", kind: "airlock" },
      { username: "j.virtanen", kind: "research" },
    ]);
    const answer = await (await service.ask(`${BASE}/connection?kind=airlock`)).json();
    assert.equal(answer.connection.protocol, "sftp");
    const listed = await (await service.ask(BASE)).json();
    const airlock = listed.items.find((item: { kind: string }) => item.kind === "airlock");
    assert.match(airlock.hostKeyFingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/);
    assert.ok(!JSON.stringify(listed).includes("password of"), "a list never has passwords");
  }));

Deno.test("GET /workspaces: pages over permits without losing or repeating one, and filters", () =>
  withService(async (service) => {
    for (const permitId of ["a/1", "b", "c %"]) {
      const response = await service.ask(
        "/api/v1/events",
        post({ permitId, ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) }),
      );
      assert.equal(response.status, 202);
    }
    const seen: string[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const after: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await (await service.ask(`/api/v1/workspaces?limit=1${after}`)).json();
      assert.ok(page.items.length <= 1, "never more than asked");
      for (const { permitId, key } of page.items) seen.push(`${permitId} ${key}`);
      cursor = page.nextCursor;
    } while (cursor !== null && ++pages < 20);
    const expected = ["a/1", "b", "c %"].flatMap((
      id,
    ) => [`${id} research/j.virtanen`, `${id} research/l.maes`]);
    assert.deepEqual(seen, expected);
    const count = async (query: string): Promise<number> =>
      (await (await service.ask(`/api/v1/workspaces?${query}`)).json()).items.length;
    assert.equal(await count("username=l.maes"), 3);
    assert.equal(await count("kind=airlock"), 0);
    assert.equal(await count("status=PENDING"), 6);
    assert.equal(await count(`permitId=${encodeURIComponent("a/1")}`), 2);
    assert.equal((await service.ask("/api/v1/workspaces?cursor=%5B1%5D")).status, 400, "an invented cursor");
    assert.equal((await service.ask("/api/v1/workspaces?limit=0")).status, 400);
  }));

Deno.test("permit ids in paths: arbitrary text, percent-encoded, slashes included", () =>
  withService(async (service) => {
    for (
      const permitId of ["a/b", "a%2Fb", "ü / %", "a?b#c&d=e", "%", "status", "{x}", ":permitId", "日本/許可"]
    ) {
      await service.ask("/api/v1/events", post({ permitId, ...statusEvent("AWAITING_INGRESS") }));
      for (const path of ["status", ""]) {
        const url = `/api/v1/workspaces/${encodeURIComponent(permitId)}${path === "" ? "" : `/${path}`}`;
        assert.equal((await service.ask(url)).status, 200, `${permitId} ${path}`);
      }
      const shown = await (await service.ask(`/api/v1/permits/${encodeURIComponent(permitId)}`)).json();
      assert.equal(shown.permitId, permitId);
    }
    // A URL's path cannot have these as a segment, encoded or not (WHATWG URL 4.1); the list reaches them.
    for (const permitId of [".", ".."]) {
      await service.ask("/api/v1/events", post({ permitId, ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) }));
      const listed = await (await service.ask(`/api/v1/workspaces?permitId=${permitId}`)).json();
      assert.deepEqual(listed.items.map((item: { permitId: string }) => item.permitId), [permitId, permitId]);
    }
  }));

async function permitOf({ db }: Service): Promise<Parameters<Service["journey"]["reach"]>[0]> {
  const permit = await getPermit(db, PERMIT);
  assert.ok(permit !== null);
  return permit;
}
