import assert from "node:assert/strict";
import { registeredRoutes } from "../../src/api/api.ts";
import { fingerprintOf } from "../../src/api/fingerprint.ts";
import { ProblemError, PROBLEMS, toProblem } from "../../src/api/problem.ts";
import { DEADLINE_MS, requestIdOf } from "../../src/api/request.ts";
import { Fault, REASONS } from "../../src/core/fault.ts";
import { makeHostKey } from "../../src/runner/host_key.ts";
import { KEY, PEOPLE, PERMIT, post, statusEvent, withService } from "./service.ts";
import { countingRandom, SteppedClock } from "./surroundings.ts";

const DOCUMENT = await Deno.readTextFile(new URL("../../docs/api.md", import.meta.url));

Deno.test("docs/api.md: has every route with its permission, and every problem with its status", () =>
  withService((service) => {
    for (const { method, path, permission } of registeredRoutes(service.app)) {
      const short = path.replace("/api/v1", "");
      const row = DOCUMENT.split("\n").find((line) =>
        line.startsWith("|") &&
        (line.includes(`\`${method.toUpperCase()} ${short}\``) ||
          line.includes(`\`${method.toUpperCase()} ${short}?`))
      );
      assert.ok(row !== undefined, `${method.toUpperCase()} ${short} is not in docs/api.md`);
      assert.ok(
        row.includes(permission === "public" ? "public" : `\`${permission}\``),
        `${row}: not ${permission}`,
      );
    }
    for (const [name, { status }] of Object.entries(PROBLEMS)) {
      assert.match(DOCUMENT, new RegExp(`\\| *\`${name}\` *\\| *${status} *\\|`), `problem ${name}`);
    }
    return Promise.resolve();
  }));

Deno.test("GET /openapi.json: OpenAPI 3.1 whose references resolve and whose parameters are named", () =>
  withService(async (service) => {
    const response = await service.ask("/api/v1/openapi.json", {}, "tcp");
    const document = await response.json();
    assert.equal(document.openapi, "3.1.0");
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)]
      .map(([, name]) => name);
    assert.ok(references.length > 50, "or the pattern above finds nothing");
    for (const name of references) {
      assert.ok(name !== undefined && document.components.schemas[name], `#/${name}`);
    }
    const status = document.components.schemas.StatusAnswer;
    assert.deepEqual([status.required, status.additionalProperties], [["status"], false]);
    assert.deepEqual(document.components.schemas.ConnectionAnswer.required, ["connection"]);
    for (
      const [path, item] of Object.entries<
        Record<string, { parameters?: { in: string; name: string }[]; responses: Record<string, unknown> }>
      >(document.paths)
    ) {
      const inPath = [...path.matchAll(/\{(.+?)\}/g)].map(([, name]) => name);
      for (const [method, operation] of Object.entries(item)) {
        const named = (operation.parameters ?? []).filter((parameter) => parameter.in === "path").map((
          { name },
        ) => name);
        assert.deepEqual(named, inPath, `${method} ${path}`);
        const keyed = operation.parameters?.some(({ name }) => name === "idempotency-key") ?? false;
        assert.equal(keyed, method === "post", `${method} ${path}: every POST takes an Idempotency-Key`);
        assert.ok(
          path.endsWith("z") || path.endsWith("openapi.json") || operation.responses["default"],
          `${method} ${path} declares problems`,
        );
      }
    }
    assert.equal(document.paths["/api/v1/permits"].get["x-permission"], "permits:read");
    const operations = Object.values<Record<string, { operationId: string; security: object[] }>>(
      document.paths,
    )
      .flatMap((item) => Object.values(item));
    for (const { security } of operations) {
      for (const scheme of security.flatMap(Object.keys)) {
        assert.ok(document.components.securitySchemes?.[scheme], `security scheme ${scheme}`);
      }
    }
    const ids = operations.map(({ operationId }) => operationId);
    assert.equal(new Set(ids).size, operations.length, `each operation has a name of its own: ${ids}`);
    assert.ok(ids.includes("getWorkspacesByPermitIdStatus"), ids.join());
    assert.ok(document.components.schemas.JobChange, "what the stream of a job sends");
  }));

Deno.test("createApi: unknown paths are 404, known ones with another method 405", () =>
  withService(async (service) => {
    const cases = [
      { method: "GET", path: "/api/v1/nothing", status: 404, allow: null },
      { method: "GET", path: "/", status: 404, allow: null },
      { method: "GET", path: "/api/v1/permits/", status: 404, allow: null },
      { method: "DELETE", path: "/api/v1/permits/x", status: 405, allow: "GET" },
      { method: "PUT", path: "/api/v1/events", status: 405, allow: "POST, GET" },
      { method: "GET", path: "/api/v1/jobs/1/retry", status: 405, allow: "POST" },
      { method: "POST", path: "/healthz", status: 405, allow: "GET" },
    ];
    for (const { method, path, status, allow } of cases) {
      const response = await service.ask(path, { method });
      assert.deepEqual(
        [response.status, response.headers.get("Allow")],
        [status, allow],
        `${method} ${path}`,
      );
      assert.equal(response.headers.get("Content-Type"), "application/problem+json");
      assert.equal((await response.json()).requestId, response.headers.get("X-Request-Id"));
    }
    const head = await service.ask("/healthz", { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""], "probes may use HEAD");
    const long = await service.ask(`/api/v1/permits?phase=${"x".repeat(9000)}`);
    assert.equal(long.status, 414);
    await long.body?.cancel();
  }));

Deno.test("requestIdOf: takes what may be logged as it is, and makes one otherwise", () => {
  const made = /^[0-9a-f]{24}$/;
  const cases: [given: string | undefined, why: string, kept: boolean][] = [
    ["gateway-7:1.2_x", "plain", true],
    ["a".repeat(64), "the longest", true],
    [undefined, "none", false],
    ["", "empty", false],
    ["a".repeat(65), "too long", false],
    ["x y", "a space", false],
    ["x\ny", "a line break", false],
    ["<script>", "markup", false],
    ["-x", "an option", false],
  ];
  const random = countingRandom();
  for (const [given, why, kept] of cases) {
    const id = requestIdOf(given, random);
    if (kept) assert.equal(id, given, why);
    else assert.match(id, made, why);
  }
});

Deno.test("toProblem: each reason of a Fault has its status; what is unexpected tells nothing", () => {
  const statuses = new Map(REASONS.map((reason) => {
    const { problem } = toProblem(new Fault("retry", reason, "Cannot do it: because"));
    return [reason, PROBLEMS[problem].status];
  }));
  const expected: Record<string, number> = {
    "not-found": 404,
    "conflict": 409,
    "terminating": 409,
    "halted": 409,
    "invalid": 422,
    "invariant": 422,
    "denied": 503,
    "throttled": 503,
    "unavailable": 503,
    "timeout": 504,
    "deadline": 504,
  };
  for (const [reason, status] of statuses) assert.equal(status, expected[reason] ?? 500, reason);
  const secret = toProblem(new Error("password=hunter2"));
  assert.ok(!JSON.stringify([secret.message, secret.extra]).includes("hunter2"));
  const internal = toProblem(new Fault("retry", "internal", "password=hunter2"));
  assert.ok(!internal.message.includes("hunter2"));
  const own = new ProblemError("not-ready", "Cannot connect: x");
  assert.equal(toProblem(own), own);
});

Deno.test("requestContext: a request that takes too long is told to stop", () => {
  const clock = new SteppedClock();
  let stopped: unknown = null;
  return withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const pending = service.ask(`/api/v1/permits/${PERMIT}/plan`);
    while (stopped === null) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      clock.advance(DEADLINE_MS);
    }
    assert.equal((await pending).status, 504);
  }, {
    clock,
    deps: () => ({
      plan: (_permitId, _status, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            stopped = signal.reason;
            reject(new Fault("retry", "timeout", "Cannot observe: it took too long"));
          });
        }),
    }),
  });
});

Deno.test("readBody: a body that trickles in is not waited for beyond the deadline", () => {
  const clock = new SteppedClock();
  return withService(async (service) => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array([123])),
    });
    const headers = { "Content-Type": "application/json" };
    let answer: Response | null = null;
    void service.ask("/api/v1/events", { method: "POST", headers, body }).then((response) =>
      answer = response
    );
    while (answer === null) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      clock.advance(DEADLINE_MS);
    }
    assert.equal((answer as Response).status, 504);
    await (answer as Response).body?.cancel();
  }, { clock });
});

Deno.test("createApi: without the service its file is read, and what needs the service says so", () =>
  withService(async (service) => {
    await service.db.write(() => Promise.resolve());
    const reads = [
      "/permits",
      `/permits/${PERMIT}`,
      `/workspaces/${PERMIT}/status`,
      "/jobs",
      "/jobs/1",
      "/events",
      "/health",
    ];
    for (const path of reads) {
      const response = await service.ask(`/api/v1${path}`, {}, "process");
      assert.ok([200, 404].includes(response.status), `${path}: ${response.status}`);
      await response.body?.cancel();
    }
    const event = await service.ask(
      "/api/v1/events",
      post({ permitId: PERMIT, ...statusEvent("ARCHIVED") }),
      "process",
    );
    assert.deepEqual([event.status, (await event.json()).type], [503, "urn:wps:problem:service-down"]);
  }, {
    deps: () => ({ accept: null, plan: null, wake: null, feed: null }),
  }));

Deno.test("createApi: after an event was taken, only the service plans, tells passwords, streams and takes orders", async () => {
  const directory = await Deno.makeTempDir({ prefix: "wps-api-" });
  try {
    await withService(async (service) => {
      await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
      await service.settle();
    }, { directory });
    await withService(async (service) => {
      assert.deepEqual(await (await service.ask(`/api/v1/workspaces/${PERMIT}/status`)).json(), {
        status: "RUNNING",
      });
      for (
        const [method, path] of [
          ["GET", `/permits/${PERMIT}/plan`],
          ["GET", `/permits/${PERMIT}/drift`],
          ["POST", `/permits/${PERMIT}/drift`],
          ["GET", `/workspaces/${PERMIT}/connection?username=l.maes`],
          ["GET", "/jobs/1/events"],
          ["POST", "/jobs/1/retry"],
          ["POST", "/jobs/1/cancel"],
        ] as const
      ) {
        const response = await service.ask(`/api/v1${path}`, { method }, "process");
        assert.deepEqual([response.status, (await response.json()).type], [
          503,
          "urn:wps:problem:service-down",
        ], path);
      }
    }, { directory, deps: () => ({ accept: null, plan: null, wake: null, feed: null }) });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("GET /health, /readyz, /healthz: what each part's state makes of the whole", async () => {
  const part = (state: "ok" | "degraded" | "down" | "off") => () =>
    Promise.resolve({ state, detail: state, since: null });
  const all = { broker: part("ok"), driver: part("ok"), runner: part("ok"), readModel: part("off") };
  const cases = [
    { why: "all works", health: all, isReady: true, is: ["ok", 200, 200] },
    {
      why: "the broker is away: REST serves on",
      health: { ...all, broker: part("down") },
      isReady: true,
      is: ["degraded", 200, 200],
    },
    {
      why: "Redis is only a cache",
      health: { ...all, readModel: part("down") },
      isReady: true,
      is: ["degraded", 200, 200],
    },
    {
      why: "the platform is away",
      health: { ...all, driver: part("down") },
      isReady: true,
      is: ["degraded", 200, 200],
    },
    {
      why: "nobody runs jobs",
      health: { ...all, runner: part("down") },
      isReady: true,
      is: ["down", 503, 200],
    },
    { why: "still starting", health: all, isReady: false, is: ["ok", 200, 503] },
  ];
  for (const { why, health, isReady, is } of cases) {
    await withService(async (service) => {
      const response = await service.ask("/api/v1/health");
      const ready = await service.ask("/readyz", {}, "tcp");
      assert.deepEqual([(await response.json()).status, response.status, ready.status], is, why);
      const word = isReady ? health.driver === all.driver ? "ok" : "degraded" : "starting";
      assert.deepEqual(await ready.json(), { status: word }, why);
      const alive = await service.ask("/healthz", {}, "tcp");
      assert.deepEqual([alive.status, await alive.json()], [200, { status: "ok" }]);
    }, { deps: () => ({ health, isReady: () => isReady }) });
  }
});

Deno.test("GET /health: a database that is closed is down, and says so instead of failing", () =>
  withService(async (service) => {
    await service.db.close();
    const response = await service.ask("/api/v1/health");
    const health = await response.json();
    assert.deepEqual([response.status, health.status, health.database.state, health.jobs], [
      503,
      "down",
      "down",
      null,
    ]);
    assert.equal((await service.ask("/readyz")).status, 503);
  }));

Deno.test("fingerprintOf: what ssh-keygen -l shows, from the private key alone", async () => {
  for (const fill of [0, 7, 255]) {
    const key = await makeHostKey(new Uint8Array(36).fill(fill));
    assert.equal(fingerprintOf(key.privatePem), key.fingerprint);
  }
  for (
    const none of [
      "",
      "-----BEGIN OPENSSH PRIVATE KEY-----\n!!!\n",
      "b3BlbnNzaC1rZXktdjEA",
      btoa("x".repeat(60)),
    ]
  ) {
    assert.equal(fingerprintOf(none), null, none);
  }
});

Deno.test("requestContext: logs each request with its id, what changes something at info, and no key", async () => {
  const lines: string[] = [];
  const note = (level: string) => (message: string, fields?: Record<string, unknown>): void =>
    void lines.push(`${level} ${message} ${JSON.stringify({ ...fields, tookMs: 0 })}`);
  await withService(async (service) => {
    await service.ask("/api/v1/permits", {
      headers: { Authorization: `Bearer ${KEY}`, "X-Request-Id": "r-1" },
    }, "tcp");
    await service.ask("/api/v1/events", post("{", { "X-Request-Id": "r-2" }));
    await service.ask("/api/v1/nothing", { headers: { "X-Request-Id": "r-3" } });
  }, {
    deps: ({ log }) => ({ log: { ...log, debug: note("debug"), info: note("info") } }),
  });
  assert.deepEqual(lines, [
    'debug request {"requestId":"r-1","method":"GET","path":"/api/v1/permits","status":200,"tookMs":0,"caller":"configured-key"}',
    'info request {"requestId":"r-2","method":"POST","path":"/api/v1/events","status":422,"tookMs":0,"caller":"unix"}',
    'debug request {"requestId":"r-3","method":"GET","path":"/api/v1/nothing","status":404,"tookMs":0,"caller":null}',
  ]);
});
