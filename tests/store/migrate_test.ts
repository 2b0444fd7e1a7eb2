import assert from "node:assert/strict";
import { z } from "zod";
import { type Db, openDb } from "../../src/store/db.ts";
import { checkSchema, loadMigrations, migrate, type Migration } from "../../src/store/migrate.ts";
import { withDirectory } from "./fixture.ts";

const ONE: Migration = {
  number: 1,
  name: "0001_one.sql",
  sql: "create table a (x integer) strict; insert into a values (1);",
};
const TWO: Migration = {
  number: 2,
  name: "0002_two.sql",
  sql: "alter table a add column y text; update a set y = 'two';",
};
const BROKEN: Migration = {
  number: 2,
  name: "0002_broken.sql",
  sql: "create table b (x integer); insert into nowhere values (1);",
};
const rowOf = z.record(z.string(), z.unknown());

async function withDb(test: (db: Db, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const db = await openDb({ path: `${directory}/wps.db` });
    try {
      await test(db, directory);
    } finally {
      await db.close();
    }
  });
}

const run = (db: Db, directory: string, migrations: Migration[]): ReturnType<typeof migrate> =>
  migrate(db, { migrations, backups: `${directory}/backups`, nowMs: Date.UTC(2026, 10, 22, 10) });

async function names(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name).sort();
}

Deno.test("migrate: an empty database gets everything, without a backup; a second run does nothing", async () => {
  await withDb(async (db, directory) => {
    assert.deepEqual(await run(db, directory, [ONE, TWO]), { from: 0, to: 2, backup: null });
    assert.deepEqual(await db.read("select * from a", [], rowOf), [{ x: 1, y: "two" }]);
    assert.deepEqual(await run(db, directory, [ONE, TWO]), { from: 2, to: 2, backup: null });
    assert.deepEqual(await db.read("select number, name, applied_at_ms from schema_migrations", [], rowOf), [
      { number: 1, name: ONE.name, applied_at_ms: Date.UTC(2026, 10, 22, 10) },
      { number: 2, name: TWO.name, applied_at_ms: Date.UTC(2026, 10, 22, 10) },
    ]);
  });
});

Deno.test("migrate: before it changes a database that holds something it makes a copy that can be read", async () => {
  await withDb(async (db, directory) => {
    await run(db, directory, [ONE]);
    await db.write((tx) => tx.run("insert into a values (7)", []));
    const { from, to, backup } = await run(db, directory, [ONE, TWO]);
    assert.deepEqual([from, to, backup], [
      1,
      2,
      `${directory}/backups/wps-20261122T100000Z-before-migration-from-1.db`,
    ]);
    assert.equal(((await Deno.stat(backup ?? "")).mode ?? 0) & 0o777, 0o600);
    const copy = await openDb({ path: backup ?? "", readOnly: true });
    assert.deepEqual(await copy.read("select * from a order by x", [], rowOf), [{ x: 1 }, { x: 7 }]);
    assert.deepEqual(await copy.read("pragma integrity_check", [], rowOf), [{ integrity_check: "ok" }]);
    await copy.close();
    assert.deepEqual((await names(`${directory}/backups`)).filter((name) => name.includes("partial")), []);
  });
});

Deno.test("migrate: one that fails leaves the database as it was, at the version before", async () => {
  await withDb(async (db, directory) => {
    await run(db, directory, [ONE]);
    await assert.rejects(run(db, directory, [ONE, BROKEN]), {
      name: "Fault",
      message: /no such table: nowhere/,
    });
    assert.deepEqual(
      await db.read("select name from sqlite_schema where type = 'table' order by name", [], rowOf),
      [{ name: "a" }, { name: "schema_migrations" }],
    );
    assert.equal((await run(db, directory, [ONE, TWO])).to, 2);
  });
});

Deno.test("migrate: without a place for the copy nothing is changed", async () => {
  await withDb(async (db, directory) => {
    await run(db, directory, [ONE]);
    await Deno.writeTextFile(`${directory}/backups`, "a file in the way");
    await assert.rejects(run(db, directory, [ONE, TWO]), {
      reason: "unavailable",
      message: /Cannot back up/,
    });
    assert.deepEqual(await db.read("select * from a", [], rowOf), [{ x: 1 }]);
  });
});

const REFUSED: [
  what: string,
  prepare: (db: Db, directory: string) => Promise<unknown>,
  now: Migration[],
  expected: RegExp,
][] = [
  [
    "a database newer than the program",
    (db, directory) => run(db, directory, [ONE, TWO]),
    [ONE],
    /at schema 2, this program knows 1/,
  ],
  [
    "a database migrated by another text",
    (db, directory) => run(db, directory, [{ ...ONE, sql: `${ONE.sql} -- other` }]),
    [ONE, TWO],
    /0001_one.sql differs/,
  ],
  [
    "somebody else's database",
    (db) => db.write((tx) => tx.script("create table customers (id integer)")),
    [ONE],
    /not one of WPS \(table customers\)/,
  ],
];
for (const [what, prepare, now, expected] of REFUSED) {
  Deno.test(`migrate: ${what} is refused and left alone`, async () => {
    await withDb(async (db, directory) => {
      await prepare(db, directory);
      const before = await db.read("select * from sqlite_schema", [], rowOf);
      await assert.rejects(run(db, directory, now), {
        name: "Fault",
        disposition: "stalled",
        message: expected,
      });
      assert.deepEqual(await db.read("select * from sqlite_schema", [], rowOf), before);
      assert.ok(!(await names(directory)).includes("backups"));
    });
  });
}

Deno.test("checkSchema: a reader needs exactly its own schema", async () => {
  await withDb(async (db, directory) => {
    await run(db, directory, [ONE]);
    await checkSchema(db, [ONE]);
    await assert.rejects(checkSchema(db, [ONE, TWO]), { message: /at schema 1, this program needs 2/ });
  });
});

Deno.test("loadMigrations: the program's own are numbered from 1 and make every table of DESIGN 7", async () => {
  await withDb(async (db, directory) => {
    const migrations = await loadMigrations();
    assert.deepEqual(migrations.map(({ number }) => number), migrations.map((_, index) => index + 1));
    await run(db, directory, migrations);
    const tables = (await db.read(
      "select name from sqlite_schema where type = 'table'",
      [],
      z.object({ name: z.string() }),
    ))
      .map(({ name }) => name);
    for (
      const table of [
        "permits",
        "events",
        "jobs",
        "steps",
        "workspaces",
        "volumes",
        "members",
        "audit",
        "outbox",
      ]
        .concat([
          "idempotency_keys",
          "api_keys",
          "sessions",
          "leases",
          "evidence",
          "breaches",
          "secrets",
          "meta",
        ])
    ) assert.ok(tables.includes(table), table);
    assert.deepEqual(await db.read("pragma foreign_key_check", [], rowOf), []);
  });
});
