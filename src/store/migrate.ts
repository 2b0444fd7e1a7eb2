/**
 * Migrations: numbered SQL files, each applied in a transaction of its own that writes the number first, so that of
 * two programs at it one fails before it changes anything (DESIGN 7).
 */
import { z } from "zod";
import { Fault } from "../core/fault.ts";
import { sha256Hex } from "../core/sha256.ts";
import { backUp } from "./backup.ts";
import type { Db, Reader } from "./db.ts";

/** One migration file. */
export interface Migration {
  /** Counts from 1 without gaps. */
  number: number;
  /** The file's name. */
  name: string;
  sql: string;
}

/** What {@link migrate} did. Equal numbers: nothing. */
export interface Migrated {
  from: number;
  to: number;
  /** The copy made before, or null where there was nothing to copy or to do. */
  backup: string | null;
}

const DIRECTORY = new URL("../../migrations/", import.meta.url);
const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;

/** The program's own migrations in order, from the folder beside `src/` (inside the executable when compiled). */
export async function loadMigrations(): Promise<Migration[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(DIRECTORY)) if (name.endsWith(".sql")) names.push(name);
  return await Promise.all(
    names.sort().map(async (name, index): Promise<Migration> => {
      const number = Number(FILE_NAME.exec(name)?.[1] ?? NaN);
      if (number !== index + 1) {
        throw new Fault(
          "stalled",
          "internal",
          `Cannot use migration ${name}: number ${index + 1} was expected`,
        );
      }
      return { number, name, sql: await Deno.readTextFile(new URL(name, DIRECTORY)) };
    }),
  );
}

/**
 * Brings the database to the newest schema, after a copy into `backups` when it holds anything. Fault `conflict` when it
 * is newer than this program, was migrated by another text, or is somebody else's database.
 */
export async function migrate(
  db: Db,
  options: { migrations: readonly Migration[]; backups: string; nowMs: number },
): Promise<Migrated> {
  const { migrations, backups, nowMs } = options;
  const applied = await appliedMigrations(db);
  checkApplied(db.path, applied, migrations);
  const from = applied.length;
  const missing = migrations.slice(from);
  if (missing.length === 0) return { from, to: from, backup: null };
  const backup = from === 0 ? null : await backUp(db.path, backups, `before-migration-from-${from}`, nowMs);
  for (const migration of missing) await apply(db, migration, nowMs);
  return { from, to: migrations.length, backup };
}

/** Fault `conflict` unless the database is at exactly this program's schema: for a command that only reads. */
export async function checkSchema(db: Db, migrations: readonly Migration[]): Promise<void> {
  const applied = await appliedMigrations(db);
  checkApplied(db.path, applied, migrations);
  if (applied.length === migrations.length) return;
  throw new Fault(
    "stalled",
    "conflict",
    `Cannot read database ${db.path}: it is at schema ${applied.length}, this program needs ${migrations.length}`,
    { advice: "Start the service once: it makes a backup and migrates", target: db.path },
  );
}

interface Applied {
  number: number;
  name: string;
  checksum: string;
}

async function appliedMigrations(reader: Reader): Promise<Applied[]> {
  const tables = await reader.read(
    "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
    [],
    z.object({ name: z.string() }),
  );
  if (tables.length === 0) return [];
  if (!tables.some(({ name }) => name === "schema_migrations")) {
    throw new Fault(
      "stalled",
      "conflict",
      `Cannot use the database: it is not one of WPS (table ${tables[0]?.name})`,
    );
  }
  return await reader.read(
    "select number, name, checksum from schema_migrations order by number",
    [],
    z.object({ number: z.number(), name: z.string(), checksum: z.string() }),
  );
}

function checkApplied(path: string, applied: readonly Applied[], migrations: readonly Migration[]): void {
  if (applied.length > migrations.length) {
    throw new Fault(
      "stalled",
      "conflict",
      `Cannot use database ${path}: it is at schema ${applied.length}, this program knows ${migrations.length}`,
      {
        advice: "Install the newer program again, or restore the backup made before its migration",
        target: path,
      },
    );
  }
  for (const [index, { number, name, checksum }] of applied.entries()) {
    const known = migrations[index];
    if (known?.number === number && sha256Hex(known.sql) === checksum) continue;
    throw new Fault(
      "stalled",
      "conflict",
      `Cannot use database ${path}: its migration ${name} differs from this program's ${
        known?.name ?? "none"
      }`,
      { advice: "Use the program that made this database, or restore a backup", target: path },
    );
  }
}

async function apply(db: Db, { number, name, sql }: Migration, nowMs: number): Promise<void> {
  await db.write(async (tx) => {
    await tx.run(
      `create table if not exists schema_migrations (
         number integer primary key, name text not null, checksum text not null, applied_at_ms integer not null
       ) strict`,
      [],
    );
    await tx.run(
      "insert into schema_migrations (number, name, checksum, applied_at_ms) values (?, ?, ?, ?)",
      [number, name, sha256Hex(sql), nowMs],
    );
    await tx.script(sql);
  });
}
