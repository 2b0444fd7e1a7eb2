import assert from "node:assert/strict";
import { keepBreaches } from "../../src/store/breaches.ts";
import { saveEvidence } from "../../src/store/evidence.ts";
import { PROOF } from "../isolation_evidence.ts";
import { PEOPLE, PERMIT, statusEvent, withService } from "./service.ts";

const AT = `/api/v1/workspaces/${PERMIT}/evidence`;

Deno.test("GET /workspaces/{permitId}/evidence: each proof whole, newest first, and which instance runs", () =>
  withService(async (service) => {
    assert.equal((await service.ask(AT)).status, 404);
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    assert.deepEqual(await (await service.ask(AT)).json(), { items: [], nextCursor: null });
    await service.settle();
    const earlier = { workspaceKey: "research/l.maes", instanceUid: "gone", atMs: 5, evidence: PROOF };
    await service.db.write((tx) => saveEvidence(tx, { permitId: PERMIT, ...earlier }));
    const { items } = await (await service.ask(AT)).json();
    const briefly = items.map(({ workspace, running }: Record<string, unknown>) => [workspace, running]);
    assert.deepEqual(briefly[0], ["research/l.maes", false]);
    assert.deepEqual(briefly.slice(1).sort(), [["research/j.virtanen", true], ["research/l.maes", true]]);
    const { workspace, instance, running, recordedAt, ...proof } = items[0];
    assert.deepEqual([workspace, instance, running, recordedAt], [
      "research/l.maes",
      "gone",
      false,
      "1970-01-01T00:00:00.005Z",
    ]);
    assert.deepEqual(proof, PROOF, "targets, outcomes, rounds, control and policies as they are kept");
    const one = await (await service.ask(`${AT}?workspace=research/j.virtanen&limit=1`)).json();
    assert.deepEqual([one.items.length, one.items[0].workspace, one.nextCursor], [
      1,
      "research/j.virtanen",
      null,
    ]);
    const page = await (await service.ask(`${AT}?limit=1`)).json();
    const next = await (await service.ask(`${AT}?limit=9&cursor=${page.nextCursor}`)).json();
    assert.deepEqual([...page.items, ...next.items], items);
    assert.equal((await service.ask(`${AT}?worskpace=x`)).status, 400);
  }));

Deno.test("GET /permits/{permitId}: a broken invariant comes first, with since when and what to do", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    await service.settle();
    const breach = {
      invariant: 1,
      target: "pod research-a-0 (uid)",
      message: "has prepared and ways out: x",
    } as const;
    await service.db.write((tx) => keepBreaches(tx, PERMIT, [breach], 5));
    const { troubles } = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
    assert.deepEqual(troubles[0], {
      reason: "invariant-broken",
      target: breach.target,
      message:
        "Broken since 1970-01-01T00:00:00.005Z: pod research-a-0 (uid) has prepared and ways out: x (invariant 1)",
      advice:
        "WPS takes away by itself what it may; find out who changed the platform; to stop everything at once run " +
        "wps halt permit-001",
    });
  }));

Deno.test("GET /permits/{permitId}: back to setup after analysis, the tainted generation stays listed as kept", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    await service.settle();
    await service.event(statusEvent("WORKSPACE_SETUP_REWORK"));
    await service.settle();
    const { volumes } = await (await service.ask(`/api/v1/permits/${PERMIT}`)).json();
    const projects = volumes.filter(({ volume }: { volume: string }) => volume === "project")
      .map(({ key, generation, tainted, taintedUnder, superseded }: Record<string, unknown>) => [
        key,
        generation,
        tainted,
        taintedUnder,
        superseded,
      ]);
    assert.deepEqual(projects, [
      ["project", 1, true, "ANALYSIS_ACTIVE", true],
      ["project@2", 2, false, null, false],
    ]);
  }));
