/**
 * Intake as a process of its own, to be killed at a chosen point. Arguments: broker URL, names as JSON, state directory,
 * where to hold: "before-commit", "before-ack" or "nowhere". Prints "connected", and "held" when it got there.
 */
import type { Broker } from "../../src/intake/broker.ts";
import type { Db } from "../../src/store/db.ts";
import { alteredDb } from "../store/altered_db.ts";
import { type Names, startStation } from "./amqp_station.ts";

const [url = "", names = "{}", directory = "", hold = "nowhere"] = Deno.args;

function say(word: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${word}\n`));
}

const never = new Promise<never>(() => {});
// Keeps the process alive while everything else waits for ever.
setInterval(() => {}, 1_000);

/** Deliveries are received, and nothing of them is written. */
const beforeCommit = (real: Db): Db =>
  alteredDb(real, (work) =>
    real.write(async (tx) => {
      await work(tx);
      say("held");
      return await never;
    }));

/** Everything is committed, and the acknowledgement does not leave. */
const beforeAck = (real: Broker): Broker => ({
  open: async (listener) => {
    const session = await real.open(listener);
    session.ack = () => say("held");
    return session;
  },
});

const station = await startStation({
  url,
  // Cast: the parent wrote it.
  names: JSON.parse(names) as Names,
  directory,
  ...(hold === "before-commit" ? { db: beforeCommit } : {}),
  ...(hold === "before-ack" ? { broker: beforeAck } : {}),
});
await station.connected();
say("connected");
