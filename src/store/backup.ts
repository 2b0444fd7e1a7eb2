/** Copies of the database, made while it is in use. */
import { createClient } from "@libsql/client";
import { Fault } from "../core/fault.ts";
import { toInstant } from "../core/clock.ts";
import { fileUrl } from "./db.ts";
import { toDbFault } from "./db_fault.ts";

/**
 * Writes a consistent, compact copy of the database into `directory` and returns its path, e.g.
 * `wps-20261122T100000Z-before-migration-from-1.db` (mode 0600). The name appears only once the copy is complete and
 * on disk. Errors leave as Fault `unavailable`.
 */
export async function backUp(path: string, directory: string, label: string, nowMs: number): Promise<string> {
  const stamp = toInstant(nowMs).replace(/[-:]/g, "").replace(/\.\d+/, "");
  const target = `${directory}/wps-${stamp}-${label}.db`;
  const partial = `${target}.partial`;
  try {
    await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
    await Deno.remove(partial).catch(() => {});
    // VACUUM INTO accepts an empty file: made first, so that the copy is never readable by others.
    (await Deno.open(partial, { write: true, createNew: true, mode: 0o600 })).close();
    await vacuumInto(path, partial);
    await syncToDisk(partial);
    await Deno.rename(partial, target);
    await syncToDisk(directory);
    return target;
  } catch (thrown) {
    await Deno.remove(partial).catch(() => {});
    const fault = toDbFault(thrown, path);
    const what = fault instanceof Error ? fault.message : String(fault);
    throw new Fault("stalled", "unavailable", `Cannot back up ${path} to ${target}: ${what}`, {
      advice: "Free space in the backup directory, or make it writable for the service's user",
      target,
      cause: thrown,
    });
  }
}

/** On a client of its own: VACUUM fails on a connection that has an unfinished statement. */
async function vacuumInto(path: string, target: string): Promise<void> {
  const client = createClient({ url: fileUrl(path), concurrency: 1, timeout: 10_000 });
  try {
    await client.execute({ sql: "vacuum into ?", args: [target] });
  } finally {
    client.close();
  }
}

async function syncToDisk(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}
