import assert from "node:assert/strict";
import { getPermit } from "../../src/store/permits.ts";
import { requireOrReport } from "../cluster/availability.ts";
import { RabbitMq } from "../services/rabbitmq.ts";
import { until } from "../services/until.ts";
import { withDirectory } from "../store/fixture.ts";
import { freshNames, type Letter, type Names, Publisher, startStation } from "./amqp_station.ts";

// The consuming process is killed at each point between receiving and acknowledging; the broker lives on.

const ignore = !(await requireOrReport("rabbitmq"));
let rabbit: RabbitMq;
Deno.test.beforeAll(async () => {
  if (!ignore) rabbit = await RabbitMq.start();
});
Deno.test.afterAll(async () => {
  if (!ignore) await rabbit.stop();
});

const CHILD = new URL("amqp_child.ts", import.meta.url).pathname;
const ROOT = new URL("../../", import.meta.url).pathname;

/** Starts the child, waits for a word of it, and kills it. */
async function killedAt(word: string, names: Names, directory: string, hold: string): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, rabbit.url, JSON.stringify(names), directory, hold],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said.includes(`${word}\n`)) break;
  }
  child.kill("SIGKILL");
  await child.status;
  assert.ok(said.includes(`${word}\n`), `the child said: ${said}`);
}

const LETTERS: Letter[] = [
  { type: "permit.status.updated", id: "known", body: { permitId: "p", status: "ANALYSIS_ACTIVE" } },
  { type: "permit.workspace.stop_requested", body: { permitId: "p" } },
  { type: "permit.workspace.start_requested", body: { permitId: "p" } },
  { type: "permit.workspace.stop_requested", body: { permitId: "p" } },
];

async function verdictsAfter(
  hold: string,
  kills: number,
): Promise<{ verdicts: string[]; version: number | undefined; stopped: boolean | undefined }> {
  return await withNames(async (names, directory) => {
    await using publisher = await Publisher.connect(rabbit.url);
    // The queue must exist before anything is published.
    const first = await startStation({ url: rabbit.url, names, directory });
    await first.connected();
    await first.stop();
    await publisher.publish(names.exchange, LETTERS);
    for (let kill = 0; kill < kills; kill++) await killedAt("held", names, directory, hold);
    const last = await startStation({ url: rabbit.url, names, directory });
    try {
      await until(
        "all are accepted",
        async () =>
          (await last.events()).filter(({ verdict }) => verdict === "accepted").length >= LETTERS.length,
      );
      await until("nothing is left", async () => {
        const { messageCount } = await publisher.channel.checkQueue(names.queue);
        return messageCount === 0;
      });
      // Whatever was delivered again is recorded as well once a message published now is.
      await publisher.publish(names.exchange, [{ type: "permit.analysis.approved", id: "end", body: {} }]);
      await until("the end is recorded", async () => (await last.events()).some(({ id }) => id === "end"));
      const events = (await last.events()).filter(({ id }) => id !== "end");
      const permit = await getPermit(last.store.db, "p");
      return {
        verdicts: events.map(({ verdict }) => verdict),
        version: permit?.version,
        stopped: permit?.stopRequested,
      };
    } finally {
      await last.stop();
    }
  });
}

async function withNames<Result>(
  test: (names: Names, directory: string) => Promise<Result>,
): Promise<Result> {
  let result: Result | undefined;
  await withDirectory(async (directory) => {
    result = await test(freshNames(), directory);
  });
  if (result === undefined) throw new Error("the test answered nothing");
  return result;
}

Deno.test(
  "crash: between receiving and commit, everything is delivered again and accepted once",
  { ignore },
  async () => {
    assert.deepEqual(await verdictsAfter("before-commit", 2), {
      verdicts: ["accepted", "accepted", "accepted", "accepted"],
      version: 4,
      stopped: true,
    });
  },
);

Deno.test("crash: between commit and acknowledgement, everything is delivered again and is a duplicate", {
  ignore,
}, async () => {
  const { verdicts, version, stopped } = await verdictsAfter("before-ack", 2);
  assert.deepEqual([version, stopped], [4, true]);
  assert.deepEqual(verdicts.slice(0, 4), ["accepted", "accepted", "accepted", "accepted"]);
  assert.deepEqual(new Set(verdicts.slice(4)), new Set(["duplicate"]));
  // After two kills each message came three times.
  assert.equal(verdicts.length, 12);
});
