/** How many events a second one disk accepts, one by one and grouped, and what it could do at all. */
import Database from "libsql";
import { createIntake, type Intake } from "../src/intake/group.ts";
import { SILENT_LOG } from "../src/log.ts";
import { MACHINE_CLOCK } from "../src/machine.ts";
import type { Argument } from "../src/store/columns.ts";
import type { Db, Tx } from "../src/store/db.ts";
import { openStore } from "../src/store/open.ts";
import { delivery, receiptOf, RULES } from "../tests/intake/fixture.ts";
import { eventBody, GROUP, Rates, TURNS } from "./intake_rates.ts";
import { quantile, type Row } from "./table.ts";

/** One by one, in a turn. */
const SINGLES = 200;
/** In groups, in a turn. */
const GROUPED = 10 * GROUP;

/** One statement as the intake sent it; null: a commit. */
type Sent = { kind: "all" | "run"; sql: string; args: readonly Argument[] } | null;

/** Figures on the disk that holds `folder`. */
export async function onDisk(folder: string): Promise<Row[]> {
  const bare = bareTable(`${folder}/bare.db`);
  const store = await openStore({ directory: `${folder}/store`, nowMs: Date.now() });
  const twin = await bareTwin(`${folder}/twin`);
  const sent: Sent[] = [];
  const intake = createIntake({
    db: recording(store.db, sent),
    rules: { ...RULES, uidRange: [100_000, 999_999] },
    clock: MACHINE_CLOCK,
    log: SILENT_LOG,
    onAccepted: () => {},
  });
  const bareSingle = new Rates(), single = new Rates(), twinSingle = new Rates();
  const bareGrouped = new Rates(),
    grouped = new Rates(),
    twinGrouped = new Rates(),
    fresh = new Rates(),
    twinFresh = new Rates();
  const latenciesMs: number[] = [];
  let count = 0;
  const next = (permits: number): ReturnType<typeof delivery> => {
    count++;
    return delivery(eventBody(`p-${permits === 0 ? `new-${count}` : count % permits}`, `e-${count}`));
  };
  const many = (permits: number, howMany: number): ReturnType<typeof delivery>[] =>
    Array.from({ length: howMany }, () => next(permits));
  const replay = (): void => twin.replay(sent.splice(0));
  try {
    await accept(intake, many(GROUP, GROUP));
    replay();
    for (let turn = 0; turn < TURNS; turn++) {
      await bareSingle.measure(SINGLES, () => bare.insert(SINGLES, 1));
      await single.measure(SINGLES, async () => {
        for (let index = 0; index < SINGLES; index++) {
          const begin = performance.now();
          await accept(intake, many(GROUP, 1));
          latenciesMs.push(performance.now() - begin);
        }
      });
      await twinSingle.measure(SINGLES, replay);
      await bareGrouped.measure(GROUPED, () => bare.insert(GROUPED, GROUP));
      await grouped.measure(GROUPED, () => accept(intake, many(GROUP, GROUPED)));
      await twinGrouped.measure(GROUPED, replay);
      await fresh.measure(GROUPED, () => accept(intake, many(0, GROUPED)));
      await twinFresh.measure(GROUPED, replay);
    }
  } finally {
    await intake.drain();
    await store.close();
    twin.close();
    bare.close();
  }
  return [
    bareSingle.row("floor: one bare insert a commit", null),
    twinSingle.row("the same statements of an event, bare, one event a commit", bareSingle),
    single.row(`events, one by one (p99 ${quantile(latenciesMs, 0.99).toFixed(1)} ms)`, twinSingle),
    bareGrouped.row(`floor: ${GROUP} bare inserts a commit`, null),
    twinGrouped.row(`the same statements of an event, bare, ${GROUP} events a commit`, bareGrouped),
    grouped.row("events, grouped", twinGrouped),
    twinFresh.row("the same statements for a new permit with 2 leases, bare", bareGrouped),
    fresh.row("events, grouped, each of a new permit", twinFresh),
  ];
}

async function accept(intake: Intake, deliveries: ReturnType<typeof delivery>[]): Promise<void> {
  for (const outcome of await intake.submit(deliveries)) {
    const { verdict, reasons } = receiptOf(outcome);
    if (verdict !== "accepted") throw new Error(`${verdict}: ${JSON.stringify(reasons)}`);
  }
}

/** A table of one column and the same durability. */
function bareTable(path: string): { insert(count: number, group: number): void; close(): void } {
  const database = new Database(path);
  database.exec(
    "pragma journal_mode = wal; pragma synchronous = full; create table rows (id integer primary key, body blob)",
  );
  const insert = database.prepare("insert into rows (body) values (?)");
  const body = new TextEncoder().encode(JSON.stringify(eventBody("p", "e")));
  return {
    insert(count, group): void {
      for (let done = 0; done < count; done += group) {
        database.exec("begin immediate");
        for (let index = 0; index < group; index++) insert.run([body]);
        database.exec("commit");
      }
    },
    close: () => database.close(),
  };
}

/** Notes every statement on its way to the store. */
function recording(real: Db, sent: Sent[]): Db {
  return {
    path: real.path,
    read: (sql, args, row) => real.read(sql, args, row),
    change: (sql, args, row) => real.change(sql, args, row),
    close: () => real.close(),
    write: async <Result>(work: (tx: Tx) => Promise<Result>): Promise<Result> => {
      const result = await real.write((tx) =>
        work({
          read: (sql, args, row) => {
            sent.push({ kind: "all", sql, args });
            return tx.read(sql, args, row);
          },
          run: (sql, args) => {
            sent.push({ kind: "run", sql, args });
            return tx.run(sql, args);
          },
          script: (sql) => tx.script(sql),
        })
      );
      sent.push(null);
      return result;
    },
  };
}

/** An empty store of the same schema, to which recorded statements go without anything of WPS around them. */
async function bareTwin(directory: string): Promise<{ replay(sent: Sent[]): void; close(): void }> {
  await (await openStore({ directory, nowMs: Date.now() })).close();
  const database = new Database(`${directory}/wps.db`);
  database.exec("pragma synchronous = full; pragma foreign_keys = on; pragma recursive_triggers = on");
  const prepared = new Map<string, ReturnType<Database.Database["prepare"]>>();
  const prepare = (sql: string): ReturnType<Database.Database["prepare"]> => {
    const statement = prepared.get(sql) ?? database.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };
  return {
    replay(sent): void {
      let isOpen = false;
      for (const statement of sent) {
        if (!isOpen) database.exec("begin immediate");
        isOpen = statement !== null;
        if (statement === null) database.exec("commit");
        else {
          // Whole numbers are meant as INTEGER, see the store's connection.
          const args = statement.args.map((value) => typeof value === "number" ? BigInt(value) : value);
          prepare(statement.sql)[statement.kind](args);
        }
      }
    },
    close: () => database.close(),
  };
}
