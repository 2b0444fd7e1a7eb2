import assert from "node:assert/strict";
import { PEOPLE, PERMIT, statusEvent, withService } from "./service.ts";

Deno.test("an expired permit: its word, its plan, its connections, and what lifts it", () =>
  withService(async (service) => {
    const get = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
      const response = await service.ask(`/api/v1${path}`);
      return { status: response.status, body: await response.json() };
    };
    const first = statusEvent("ANALYSIS_ACTIVE", PEOPLE);
    await service.event(first);
    assert.deepEqual([
      (await get(`/permits/${PERMIT}`)).body["expired"],
      (await get(`/permits/${PERMIT}`)).body["expiresAt"],
    ], [
      false,
      null,
    ]);
    await service.event(statusEvent("ANALYSIS_ACTIVE", { ...PEOPLE, expiresAt: "2020-01-01T00:00:00Z" }));
    const { body } = await get(`/permits/${PERMIT}`);
    assert.equal(body["expired"], true);
    assert.equal(
      (await get(`/workspaces/${PERMIT}/status`)).body["status"],
      "STOPPING",
      "its job is not done yet",
    );
    const refused = await get(`/workspaces/${PERMIT}/connection?username=j.virtanen`);
    assert.deepEqual([refused.status, refused.body["type"], refused.body["reason"]], [
      409,
      "urn:wps:problem:not-ready",
      "deadline",
    ]);
    assert.match(`${refused.body["advice"]}`, /expired at 2020-.*an event with a new expiresAt/);
    await service.event(statusEvent("ANALYSIS_ACTIVE", { ...PEOPLE, expiresAt: null }));
    assert.equal((await get(`/permits/${PERMIT}`)).body["expired"], false);
  }));

Deno.test("GET /permits/{permitId}/certificate: 404 until there is one", () =>
  withService(async (service) => {
    assert.equal((await service.ask(`/api/v1/permits/${PERMIT}/certificate`)).status, 404);
    await service.event(statusEvent("AWAITING_INGRESS", PEOPLE));
    const response = await service.ask(`/api/v1/permits/${PERMIT}/certificate`);
    assert.equal(response.status, 404);
    assert.match((await response.json()).detail, /Cannot find a certificate of permit-001: it is/);
  }));
