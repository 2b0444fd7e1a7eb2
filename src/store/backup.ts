/** Copies of the database, made while it is in use. */
import { Fault } from "../core/fault.ts";
import { toInstant } from "../core/clock.ts";
import { Connection } from "./connection.ts";
import { toDbFault } from "./db_fault.ts";

/** A copy only reads; it may wait for a rival's commit. */
const BUSY_TIMEOUT_MS = 10_000;

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
    vacuumInto(path, partial);
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

/** On a connection of its own: VACUUM fails on one that has an unfinished statement. */
function vacuumInto(path: string, target: string): void {
  const connection = new Connection({
    path,
    busyTimeoutMs: BUSY_TIMEOUT_MS,
    queryOnly: false,
    durable: true,
  });
  try {
    connection.run("vacuum into ?", [target]);
  } finally {
    connection.close();
  }
}

async function syncToDisk(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}
