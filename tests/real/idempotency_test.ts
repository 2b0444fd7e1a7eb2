import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { listEvents } from "../../src/store/events.ts";
import { PEOPLE, PERMIT, post, statusEvent, withService } from "../api/service.ts";

const CHILD = fileURLToPath(new URL("./crash_child.ts", import.meta.url));
const EVENT = JSON.stringify({ permitId: PERMIT, ...statusEvent("ANALYSIS_ACTIVE", PEOPLE) });

/** Runs a service on `directory` that is killed while it answers; returns once it is dead. */
async function crash(directory: string, when: string): Promise<void> {
  const { signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CHILD, directory, when, "key-1", EVENT],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.equal(signal, "SIGKILL", new TextDecoder().decode(stderr));
}

Deno.test("once: a service killed while it answers leaves effect and answer both, or neither", async () => {
  const cases = [
    { when: "after-commit", replayed: "true", why: "the first answer, which never left" },
    { when: "before-commit", replayed: null, why: "nothing happened: the request runs now" },
  ];
  for (const { when, replayed, why } of cases) {
    const directory = await Deno.makeTempDir({ prefix: "wps-crash-" });
    try {
      await crash(directory, when);
      await withService(async (service) => {
        const events = async (): Promise<number> =>
          (await listEvents(service.db, {}, { cursor: null, limit: 9 })).items.length;
        assert.equal(await events(), when === "after-commit" ? 1 : 0, `${when}: what the crash left`);
        for (const expected of [replayed, "true"]) {
          const response = await service.ask("/api/v1/events", post(EVENT, { "Idempotency-Key": "key-1" }));
          const receipt = await response.json();
          assert.deepEqual([response.status, receipt.verdict, receipt.jobId], [202, "accepted", 1], why);
          assert.equal(response.headers.get("Idempotency-Replayed"), expected, why);
        }
        assert.equal(await events(), 1, `${when}: once in the end`);
      }, { directory, bootEpoch: "boot-next" });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  }
});
