/** The store as the service opens it: directory, lock, database, migrations; released in reverse. */
import type { Clock } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";
import { type Db, openDb } from "./db.ts";
import { lockState } from "./lock.ts";
import { checkSchema, loadMigrations, migrate, type Migrated } from "./migrate.ts";

/** An open store. */
export interface Store {
  db: Db;
  /** What opening it changed. */
  migrated: Migrated;
  /** Waits for the write in progress, closes the database and frees the state directory. Safe to repeat. */
  close(): Promise<void>;
}

/** The database's name in the state directory. */
export const DB_FILE = "wps.db";
/** The folder of automatic copies in the state directory. */
export const BACKUPS_FOLDER = "backups";

/**
 * Opens `directory`/wps.db, made when absent, and holds the directory's lock until closed. Faults: `conflict` (in use,
 * newer database), `unavailable` (no access, disk full), `internal` (damaged).
 */
export async function openStore(
  options: {
    directory: string;
    nowMs: number;
    /** Given: a command that is just looking into the file is waited for. */
    clock?: Pick<Clock, "sleep">;
    busyTimeoutMs?: number;
    durable?: boolean;
  },
): Promise<Store> {
  const { directory, nowMs, clock, busyTimeoutMs, durable } = options;
  await makeDirectory(directory);
  const lock = await lockState(directory, clock);
  let db: Db | null = null;
  try {
    db = await openDb({ path: `${directory}/${DB_FILE}`, busyTimeoutMs, durable });
    const migrations = await loadMigrations();
    const migrated = await migrate(db, { migrations, backups: `${directory}/${BACKUPS_FOLDER}`, nowMs });
    return { db, migrated, close: closing(db, () => lock.release()) };
  } catch (thrown) {
    await db?.close();
    lock.release();
    throw thrown;
  }
}

/**
 * Opens the database of a stopped service for reading only, without migrating it; the lock is held meanwhile, so
 * keep it short. Faults: `not-found` (no database), `conflict` (a service is running, another schema), `unavailable`.
 */
export async function openStoppedStore(directory: string): Promise<Store> {
  const path = `${directory}/${DB_FILE}`;
  await Deno.stat(path).catch((cause) => {
    throw new Fault("stalled", "not-found", `Cannot find database ${path}`, {
      advice: "Check state.directory, or start the service once",
      target: path,
      cause,
    });
  });
  const lock = await lockState(directory);
  let db: Db | null = null;
  try {
    db = await openDb({ path, readOnly: true });
    const migrations = await loadMigrations();
    await checkSchema(db, migrations);
    const migrated = { from: migrations.length, to: migrations.length, backup: null };
    return { db, migrated, close: closing(db, () => lock.release()) };
  } catch (thrown) {
    await db?.close();
    lock.release();
    throw thrown;
  }
}

function closing(db: Db, release: () => void): () => Promise<void> {
  let closed: Promise<void> | null = null;
  return () => closed ??= db.close().finally(release);
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    const what = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Fault("stalled", "unavailable", `Cannot use state directory ${directory}: ${what}`, {
      advice: "Create it and give it to the service's user",
      target: directory,
      cause: thrown,
    });
  }
}
