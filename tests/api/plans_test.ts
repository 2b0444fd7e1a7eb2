import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { listJobs } from "../../src/store/jobs.ts";
import { PEOPLE, PERMIT, statusEvent, withService } from "./service.ts";

const BASE = `/api/v1/permits/${PERMIT}`;

Deno.test("GET /permits/{permitId}/plan: what would change, in words, without changing anything", () =>
  withService(async (service) => {
    assert.equal((await service.ask(`${BASE}/plan`)).status, 404);
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const before = JSON.stringify(service.journey.platform.observe());
    const made = await (await service.ask(`${BASE}/plan`)).json();
    assert.deepEqual([made.status, made.hypothetical, made.differs], ["ANALYSIS_ACTIVE", false, true]);
    assert.equal(made.steps[0].id, "ensure-scope permit");
    assert.deepEqual(Object.keys(made.steps[0]).sort(), [
      "after",
      "before",
      "do",
      "id",
      "kind",
      "target",
      "wave",
      "why",
    ]);
    assert.equal(JSON.stringify(service.journey.platform.observe()), before);
    await service.settle();
    assert.equal((await (await service.ask(`${BASE}/plan`)).json()).differs, false);
    const other = await (await service.ask(`${BASE}/plan?status=ARCHIVED`)).json();
    assert.deepEqual([other.status, other.hypothetical, other.steps[0].kind], [
      "ARCHIVED",
      true,
      "cut-network",
    ]);
    const halted = await (await service.ask(`${BASE}/plan?event=permit.halted`)).json();
    assert.deepEqual(
      [halted.status, halted.event, halted.hypothetical, halted.halted, halted.steps[0].kind],
      [
        "ANALYSIS_ACTIVE",
        "permit.halted",
        true,
        true,
        "cut-network",
      ],
    );
    const gone = await (await service.ask(`${BASE}/plan?event=permit.deleted`)).json();
    assert.equal(gone.steps.at(-1).id, "await-gone namespace");
    const strange = await (await service.ask(`${BASE}/plan?event=permit.analysis.approved`)).json();
    assert.deepEqual(strange.errors, [{ path: "query.event", message: "Unknown event" }]);
    assert.match(strange.advice, /permit\.deleted/);
    const unknown = await service.ask(`${BASE}/plan?status=NONSENSE`);
    const problem = await unknown.json();
    assert.deepEqual([unknown.status, problem.type], [422, "urn:wps:problem:unprocessable"]);
    assert.match(problem.advice, /ANALYSIS_ACTIVE/);
  }));

Deno.test("GET /permits/{permitId}/plan: a platform that does not answer is a 503 or 504 that names it", async () => {
  const cases = [
    { reason: "unavailable", status: 503, retryAfter: "2" },
    { reason: "throttled", status: 503, retryAfter: "2" },
    { reason: "timeout", status: 504, retryAfter: null },
  ] as const;
  for (const { reason, status, retryAfter } of cases) {
    await withService(async (service) => {
      await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
      const response = await service.ask(`${BASE}/plan`);
      const problem = await response.json();
      assert.deepEqual([response.status, problem.reason], [status, reason]);
      assert.equal(response.headers.get("Retry-After"), retryAfter);
      assert.equal(problem.detail, "Cannot observe permit-001: the API server does not answer");
    }, {
      deps: () => ({
        plan: () => {
          throw new Fault("retry", reason, "Cannot observe permit-001: the API server does not answer");
        },
      }),
    });
  }
});

Deno.test("/permits/{permitId}/drift: what differs, and one job to repair it", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    const busy = await (await service.ask(`${BASE}/drift`)).json();
    assert.deepEqual([busy.differs, busy.jobId], [true, 1], "work in progress, not drift");
    const joined = await (await service.ask(`${BASE}/drift`, { method: "POST" })).json();
    assert.equal(joined.job.id, 1, "the open job repairs it");
    await service.settle();
    assert.equal((await (await service.ask(`${BASE}/drift`)).json()).differs, false);
    service.journey.platform.state.workspaces.delete("research/l.maes");
    const drifted = await (await service.ask(`${BASE}/drift`)).json();
    assert.deepEqual([drifted.differs, drifted.jobId, drifted.urgency], [true, null, "other"]);
    assert.ok(drifted.differences.some(({ target }: { target: string }) => target === "research/l.maes"));
    const { workspaces, volumes } = service.journey.platform.state;
    Object.assign(volumes.get("prepared") ?? {}, { retained: false });
    for (const { instances } of workspaces.values()) for (const pod of instances) pod.uid = "rescheduled";
    const { urgency, differences } = await (await service.ask(`${BASE}/drift`)).json();
    const [first, second, third] = differences;
    assert.deepEqual(
      [urgency, first.kind, first.urgency, second.kind, third.kind, third.urgency, third.wave],
      [
        "access",
        "cut-network",
        "access",
        "await-cut",
        "retain-volume",
        "data",
        3,
      ],
    );
    const ordered = await service.ask(`${BASE}/drift`, { method: "POST" });
    assert.deepEqual([ordered.status, (await ordered.json()).job.kind], [202, "drift"]);
    assert.deepEqual(service.woken, [PERMIT, PERMIT]);
    const jobs = await listJobs(service.db, { kind: "drift" }, { cursor: null, limit: 9 });
    assert.equal(jobs.items.length, 1);
  }));
