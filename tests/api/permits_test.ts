import assert from "node:assert/strict";
import { endJob, PEOPLE, PERMIT, post, statusEvent, withService } from "./service.ts";
import { SteppedClock } from "./surroundings.ts";

Deno.test("GET /permits/{permitId}: everything that an operator asks first, in one answer", () => {
  const clock = new SteppedClock();
  return withService(async (service) => {
    assert.equal((await service.ask(`/api/v1/permits/${PERMIT}`)).status, 404);
    await service.event(
      statusEvent("WORKSPACE_SETUP_PENDING", {
        ...PEOPLE,
        tier: "standard",
        expiresAt: "2027-06-30T00:00:00Z",
      }),
    );
    await service.settle();
    await service.event(statusEvent("ANALYSIS_ACTIVE"));
    await service.settle();
    const shown = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
    assert.deepEqual([shown.status, shown.phase, shown.phaseTitle, shown.tier, shown.version, shown.jobId], [
      "RUNNING",
      "ANALYSIS_ACTIVE",
      "Analysis",
      "standard",
      2,
      null,
    ]);
    assert.deepEqual(
      shown.members.map(({ role, username }: Record<string, string>) => `${role} ${username}`),
      [
        "dataHolder hospital-a-sftp",
        "preprocessor m.keller",
        "reviewer a.rossi",
        "setupReviewer a.rossi",
        "researcher j.virtanen",
        "researcher l.maes",
      ],
    );
    const [first] = shown.workspaces;
    assert.deepEqual([first.key, first.status, first.posture, first.network, first.proven, first.uid], [
      "research/j.virtanen",
      "RUNNING",
      "isolated",
      "open",
      true,
      21001,
    ]);
    assert.deepEqual(first.mounts[0], { volume: "prepared", path: "/data/prepared", mode: "ro" });
    const project = shown.volumes.find(({ key }: { key: string }) => key === "project");
    assert.deepEqual(project, {
      key: "project",
      volume: "project",
      owner: null,
      generation: 1,
      state: "bound",
      tainted: true,
      taintedAt: "2026-11-22T10:00:00.000Z",
      taintedUnder: "ANALYSIS_ACTIVE",
      superseded: false,
      retained: true,
      size: "50Gi",
      detail: null,
    });
    assert.equal(shown.job.state, "succeeded");
    assert.deepEqual(shown.events.map(({ seq }: { seq: number }) => seq), [2, 1], "newest first");
    assert.deepEqual(shown.troubles, []);
    assert.equal(shown.observedAt, "2026-11-22T10:00:00.000Z");

    // Back to setup: invariant 3's fresh generations, the tainted ones listed and unmounted.
    await service.event(statusEvent("WORKSPACE_SETUP_PENDING"));
    await service.settle();
    const back = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
    const projects = back.volumes.filter(({ volume }: { volume: string }) => volume === "project");
    assert.deepEqual(
      projects.map(({ key, generation, tainted }: Record<string, unknown>) => [key, generation, tainted]),
      [
        ["project", 1, true],
        ["project@2", 2, false],
      ],
    );
  }, { clock });
});

interface TroubleCase {
  why: string;
  reason: string;
  message: RegExp;
  advice: RegExp;
  make: (service: Parameters<Parameters<typeof withService>[0]>[0]) => Promise<unknown>;
}

const troubleCases: TroubleCase[] = [
  {
    why: "nobody to run for",
    reason: "members-missing",
    message: /needs a researcher, and nobody has been named/,
    advice: /must name one/,
    make: (s) => s.event(statusEvent("ANALYSIS_ACTIVE")),
  },
  {
    why: "a job that failed",
    reason: "image-unavailable",
    message: /image not found/,
    advice: /Correct images\.research; to try at once run wps jobs retry 1/,
    make: async (s) => {
      await s.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
      await endJob(s.db, "failed");
    },
  },
  {
    why: "halted, and nobody has seen it stopped",
    reason: "halted",
    message: /not yet seen to be cut$|was halted at .*; its network is being cut and its workspaces stopped$/,
    advice: /wps resume permit-001$/,
    make: async (s) => {
      await s.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
      await s.event({ type: "permit.halted" });
    },
  },
  {
    why: "deleted while halted: only compute goes (DESIGN 6)",
    reason: "halted",
    message: /deletion waits for the end of the halt: the volumes are kept/,
    advice: /wps resume permit-001: the deletion then goes on/,
    make: async (s) => {
      await s.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
      await s.event({ type: "permit.halted" });
      await s.event({ type: "permit.deleted" });
    },
  },
  {
    why: "past its end",
    reason: "deadline",
    message: /expired at 2020-01-01.*network is cut and its workspaces are being stopped$/,
    advice: /a new expiresAt, or null for no end; the volumes are kept/,
    make: (s) => s.event(statusEvent("ANALYSIS_ACTIVE", { ...PEOPLE, expiresAt: "2020-01-01T00:00:00Z" })),
  },
  {
    why: "cancelled by somebody",
    reason: "cancelled",
    message: /was cancelled/,
    advice: /wps jobs retry 1/,
    make: async (s) => {
      await s.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
      await (await s.ask("/api/v1/jobs/1/cancel", { method: "POST" })).body?.cancel();
    },
  },
];

interface RefusalCase {
  why: string;
  make: (service: Parameters<Parameters<typeof withService>[0]>[0]) => Promise<unknown>;
  /** Reason, message and advice; null: no trouble. */
  expected: [string, RegExp, RegExp] | null;
}

const refusalCases: RefusalCase[] = [
  {
    why: "rejected",
    make: (s) => s.event({ id: "b", ...statusEvent("PAUSED") }, "rejected"),
    expected: [
      "event-rejected",
      /^The newest event \(PAUSED\) was rejected at .*: data\.status: no phase is named PAUSED$/,
      /^Look at wps events show 2; .* mended\. Until then what counts is event 1, status ANALYSIS_ACTIVE$/,
    ],
  },
  {
    why: "in conflict",
    make: (s) => s.event({ id: "a", ...statusEvent("ARCHIVED") }, "conflict"),
    expected: [
      "event-conflict",
      /\(ARCHIVED\) contradicted an earlier one at .*this id/,
      /new id and a higher/,
    ],
  },
  {
    why: "an operator's halt mends nothing of it",
    make: async (s) => {
      await s.event({ id: "b", ...statusEvent("PAUSED") }, "rejected");
      await s.ask(`/api/v1/permits/${PERMIT}/halt`, post({}));
    },
    expected: ["event-rejected", /PAUSED/, /events show 2/],
  },
  {
    why: "an older one that came late mends nothing of it",
    make: async (s) => {
      await s.event({ id: "b", revision: 5, ...statusEvent("ARCHIVED") });
      await s.event({ id: "c", ...statusEvent("PAUSED") }, "rejected");
      await s.event({ id: "d", revision: 4, ...statusEvent("ARCHIVED") }, "stale");
    },
    expected: ["event-rejected", /PAUSED/, /events show 3; .* event 2, status ARCHIVED$/],
  },
  {
    why: "mended",
    make: async (s) => {
      await s.event({ id: "b", ...statusEvent("PAUSED") }, "rejected");
      await s.event({ id: "b", ...statusEvent("ARCHIVED") });
    },
    expected: null,
  },
  {
    why: "taken back: what counts is said again",
    make: async (s) => {
      await s.event({ id: "b", ...statusEvent("PAUSED") }, "rejected");
      await s.event({ id: "a", ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) }, "duplicate");
    },
    expected: null,
  },
];

Deno.test("GET /permits/{permitId}: a refused newest event is a trouble until one is taken", async () => {
  for (const { why, make, expected } of refusalCases) {
    await withService(async (service) => {
      await service.event({ id: "a", ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) });
      await make(service);
      const { troubles } = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
      const found = troubles.filter(({ reason }: { reason: string }) => reason.startsWith("event-"));
      assert.equal(found.length, expected === null ? 0 : 1, `${why}: ${JSON.stringify(troubles)}`);
      if (expected === null) return;
      const [reason, message, advice] = expected;
      assert.equal(found[0].reason, reason, why);
      assert.match(found[0].message, message, why);
      assert.match(found[0].advice, advice, why);
    });
  }
});

Deno.test("GET /permits/{permitId}: refusals do not push the last accepted event out", () =>
  withService(async (service) => {
    await service.event(statusEvent("WORKSPACE_SETUP_PENDING", PEOPLE));
    await service.event(statusEvent("ANALYSIS_ACTIVE"));
    for (let index = 0; index < 12; index++) {
      await service.event({ id: `b${index}`, ...statusEvent("PAUSED") }, "rejected");
    }
    const { events } = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
    assert.deepEqual(
      events.map(({ seq, verdict }: { seq: number; verdict: string }) => `${seq} ${verdict}`),
      [...Array.from({ length: 10 }, (_, index) => `${14 - index} rejected`), "2 accepted"],
    );
  }));

Deno.test("GET /permits/{permitId}: says what is wrong and what to do", async () => {
  for (const { why, reason, message, advice, make } of troubleCases) {
    await withService(async (service) => {
      await make(service);
      const { troubles } = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
      const found = troubles.find((trouble: { reason: string }) => trouble.reason === reason);
      assert.ok(found !== undefined, `${why}: ${JSON.stringify(troubles)}`);
      assert.match(found.message, message, why);
      assert.match(found.advice, advice, why);
    });
  }
});

Deno.test("GET /permits: by id, filtered by phase, word and flags, paged", () =>
  withService(async (service) => {
    const statuses = [
      "ANALYSIS_ACTIVE",
      "AWAITING_INGRESS",
      "ANALYSIS_ACTIVE",
      "ARCHIVED",
      "AWAITING_INGRESS",
    ];
    for (const [index, status] of statuses.entries()) {
      await service.ask("/api/v1/events", post({ permitId: `p/${index}`, ...statusEvent(status, PEOPLE) }));
    }
    await service.ask("/api/v1/events", post({ permitId: "p/0", type: "permit.halted" }));
    const ids = async (query: string): Promise<string[]> => {
      const response = await service.ask(`/api/v1/permits?${query}`);
      assert.equal(response.status, 200, query);
      return (await response.json()).items.map(({ permitId }: { permitId: string }) => permitId);
    };
    const at = (permitId: string): string => encodeURIComponent(JSON.stringify([permitId]));
    assert.deepEqual(await ids(""), ["p/0", "p/1", "p/2", "p/3", "p/4"]);
    assert.deepEqual(await ids(`limit=2&cursor=${at("p/1")}`), ["p/2", "p/3"]);
    assert.deepEqual(await ids("phase=ANALYSIS_ACTIVE"), ["p/0", "p/2"]);
    assert.deepEqual(
      await ids("status=NONE&limit=1"),
      ["p/1"],
      "the word is computed, the page is full all the same",
    );
    assert.deepEqual(await ids(`status=NONE&limit=1&cursor=${at("p/1")}`), ["p/4"]);
    assert.deepEqual(await ids("status=STOPPING"), ["p/0"], "its halt has not been carried out");
    assert.deepEqual(await ids("halted=true"), ["p/0"]);
    assert.deepEqual(await ids("deletion=requested"), []);
    const first = await (await service.ask("/api/v1/permits?limit=2")).json();
    assert.deepEqual(await ids(`limit=2&cursor=${encodeURIComponent(first.nextCursor)}`), ["p/2", "p/3"]);
    for (const cursor of ["zzz", "p/1", "[1]", '["a","b"]', "{}", '"p/1"']) {
      const refused = await service.ask(`/api/v1/permits?cursor=${encodeURIComponent(cursor)}`);
      assert.deepEqual(
        [refused.status, (await refused.json()).errors[0].path],
        [400, "query.cursor"],
        cursor,
      );
    }
    assert.equal((await service.ask("/api/v1/permits?halted=yes")).status, 400);
    assert.equal((await service.ask("/api/v1/permits?status=running")).status, 400);
  }));
