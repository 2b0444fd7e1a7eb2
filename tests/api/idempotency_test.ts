import assert from "node:assert/strict";
import { listEvents } from "../../src/store/events.ts";
import { IDEMPOTENCY_KEPT_MS } from "../../src/store/idempotency_keys.ts";
import { listJobs } from "../../src/store/jobs.ts";
import { endJob, PEOPLE, PERMIT, post, type Service, statusEvent, withService } from "./service.ts";
import { SteppedClock } from "./surroundings.ts";

const EVENT = { permitId: PERMIT, ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) };
const PAGE = { cursor: null, limit: 100 };

async function countEvents({ db }: Service): Promise<number> {
  return (await listEvents(db, {}, PAGE)).items.length;
}

function send(
  service: Service,
  body: unknown,
  key: string,
  transport: "unix" | "process" = "unix",
): Promise<Response> {
  return service.ask("/api/v1/events", post(body, { "Idempotency-Key": key }), transport);
}

Deno.test("once: the same caller, key and body get the stored answer, whatever it was", () =>
  withService(async (service) => {
    const first = await send(service, EVENT, "k1");
    const again = await send(service, EVENT, "k1");
    assert.equal(first.headers.get("Idempotency-Replayed"), null);
    assert.equal(again.headers.get("Idempotency-Replayed"), "true");
    assert.deepEqual([again.status, await again.text()], [first.status, await first.text()]);
    assert.equal(await countEvents(service), 1, "one event, not an event and a duplicate");

    const bad = { ...EVENT, data: { status: "NONSENSE" } };
    const refused = await send(service, bad, "k2");
    const refusedAgain = await send(service, bad, "k2");
    assert.equal(refused.status, 422);
    assert.equal(refusedAgain.headers.get("Content-Type"), "application/problem+json");
    assert.deepEqual([refusedAgain.status, await refusedAgain.text()], [422, await refused.text()]);
    assert.equal(await countEvents(service), 2, "a recorded refusal is an effect too");
  }));

Deno.test("once: another body, path or caller under a key", () =>
  withService(async (service) => {
    await send(service, EVENT, "k1");
    const other = await send(service, { ...EVENT, id: "evt-2" }, "k1");
    assert.deepEqual([other.status, (await other.json()).type], [
      422,
      "urn:wps:problem:idempotency-mismatch",
    ]);
    const path = await service.ask("/api/v1/jobs/1/cancel", {
      method: "POST",
      headers: { "Idempotency-Key": "k1" },
    });
    assert.equal(path.status, 422, "the key belongs to the route as well");
    assert.equal((await send(service, EVENT, "k1", "process")).headers.get("Idempotency-Replayed"), null);
    assert.equal(await countEvents(service), 2, "another caller's key is another key");
    for (const key of ["", "ü", "x".repeat(256), "a b"]) {
      const response = await send(service, EVENT, key).catch(() => null);
      if (response !== null) assert.equal(response.status, 400, JSON.stringify(key));
    }
  }));

Deno.test("once: 409 while the first is running, and the first is not disturbed", async () => {
  const gate = Promise.withResolvers<void>();
  const inside = Promise.withResolvers<void>();
  await withService(async (service) => {
    const first = send(service, EVENT, "k1");
    await inside.promise;
    const second = await send(service, EVENT, "k1");
    assert.deepEqual([second.status, (await second.json()).type], [
      409,
      "urn:wps:problem:idempotency-running",
    ]);
    assert.equal(second.headers.get("Retry-After"), "1");
    gate.resolve();
    assert.equal((await first).status, 202);
    assert.equal((await send(service, EVENT, "k1")).headers.get("Idempotency-Replayed"), "true");
    assert.equal(await countEvents(service), 1);
  }, {
    deps: ({ accept }) => ({
      accept: async (event, within) => {
        inside.resolve();
        await gate.promise;
        assert.ok(accept !== null);
        return await accept(event, within);
      },
    }),
  });
});

Deno.test("once: a request without effect frees its key", async () => {
  let isBroken = true;
  await withService(async (service) => {
    assert.equal((await send(service, EVENT, "k1")).status, 500);
    isBroken = false;
    assert.equal((await send(service, EVENT, "k1")).status, 202, "tried again, it works");
    assert.equal(
      (await service.ask("/api/v1/jobs/99/retry", { method: "POST", headers: { "Idempotency-Key": "k2" } }))
        .status,
      404,
    );
    assert.equal((await send(service, { ...EVENT, id: "evt-2" }, "k2")).status, 202, "a 404 stored nothing");
  }, {
    deps: ({ accept }) => ({
      accept: (event, within) => {
        if (isBroken || accept === null) throw new Error("the disk is on fire");
        return accept(event, within);
      },
    }),
  });
});

Deno.test("once: a failure after the answer was stored rolls both back", async () => {
  let isBroken = true;
  await withService(async (service) => {
    assert.equal((await send(service, EVENT, "k1")).status, 500);
    assert.equal(await countEvents(service), 0);
    isBroken = false;
    assert.equal((await send(service, EVENT, "k1")).headers.get("Idempotency-Replayed"), null);
    assert.equal(await countEvents(service), 1);
  }, {
    deps: ({ accept }) => ({
      accept: (event, within) => {
        assert.ok(accept !== null);
        return accept(event, async (tx, recorded) => {
          await within(tx, recorded);
          if (isBroken) throw new Error("power cut before the commit");
        });
      },
    }),
  });
});

Deno.test("once: after a crash between effect and answer the next start replays the answer", async () => {
  const directory = await Deno.makeTempDir({ prefix: "wps-api-" });
  try {
    await withService(async (service) => {
      const lost = await send(service, EVENT, "k1");
      assert.equal(lost.status, 500, "the answer of the effect never left");
    }, {
      directory,
      bootEpoch: "boot-1",
      deps: ({ accept }) => ({
        accept: async (event, within) => {
          assert.ok(accept !== null);
          await accept(event, within);
          throw new Error("crash after the commit");
        },
      }),
    });
    await withService(async (service) => {
      const replayed = await send(service, EVENT, "k1");
      assert.deepEqual([replayed.status, replayed.headers.get("Idempotency-Replayed")], [202, "true"]);
      assert.equal((await replayed.json()).verdict, "accepted", "the first verdict, not duplicate");
      assert.equal(await countEvents(service), 1);
    }, { directory, bootEpoch: "boot-2" });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("once: an answer is kept 24 h and then forgotten", () => {
  const clock = new SteppedClock();
  return withService(async (service) => {
    await send(service, EVENT, "k1");
    clock.advance(IDEMPOTENCY_KEPT_MS - 1);
    assert.equal((await send(service, EVENT, "k1")).headers.get("Idempotency-Replayed"), "true");
    clock.advance(1);
    assert.equal((await send(service, EVENT, "k1")).headers.get("Idempotency-Replayed"), null);
    assert.equal(await countEvents(service), 2);
  }, { clock });
});

Deno.test("once: orders about jobs run once, too", () =>
  withService(async (service) => {
    await service.event(statusEvent("ANALYSIS_ACTIVE", PEOPLE));
    await endJob(service.db, "failed");
    const retry = (key: string): Promise<Response> =>
      service.ask("/api/v1/jobs/1/retry", { method: "POST", headers: { "Idempotency-Key": key } });
    const first = await retry("r1");
    const again = await retry("r1");
    assert.deepEqual([first.status, again.status], [202, 202]);
    assert.equal(await first.text(), await again.text());
    assert.equal((await listJobs(service.db, {}, PAGE)).items.length, 2, "one new job");
    assert.deepEqual(service.woken, [PERMIT], "the runner was woken by the first alone");
    assert.equal((await retry("r2")).status, 409, "the failed job has a successor now");
    const cancel = await service.ask("/api/v1/jobs/2/cancel", {
      method: "POST",
      headers: { "Idempotency-Key": "r1" },
    });
    assert.equal(cancel.status, 422, "the same empty body to another path is another request");
  }));
