/** A service that is killed while it answers: before the effect commits, or after it and before the answer leaves. */
import assert from "node:assert/strict";
import { post, withService } from "../api/service.ts";

const [directory, when, key, event] = Deno.args;
assert.ok(directory !== undefined && key !== undefined && event !== undefined);

function die(): Promise<never> {
  Deno.kill(Deno.pid, "SIGKILL");
  return new Promise(() => {});
}

await withService(async (service) => {
  await service.ask("/api/v1/events", post(event, { "Idempotency-Key": key }));
}, {
  directory,
  bootEpoch: "boot-killed",
  deps: ({ accept }) => ({
    accept: async (posted, within) => {
      assert.ok(accept !== null);
      const recorded = await accept(posted, async (tx, receipt) => {
        await within(tx, receipt);
        if (when === "before-commit") await die();
      });
      if (when === "after-commit") await die();
      return recorded;
    },
  }),
});
