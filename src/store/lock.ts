/** One service on one state directory (DESIGN 7): a lock of the kernel, gone with the process however it ends. */
import type { Clock } from "../core/clock.ts";
import { Fault } from "../core/fault.ts";

/** A held lock. */
export interface StateLock {
  release(): void;
}

/** The lock file's name; its text is the holder's process id. It is never removed: that would let two hold it. */
export const LOCK_FILE = "wps.lock";

/** A command that looks into a stopped service's file holds the lock for some 100 ms: a starting service waits for it. */
const WAIT_MS = 1_000;
const POLL_MS = 50;

/**
 * Takes the lock of a state directory; with a clock it waits up to a second for it. Fault `conflict` naming the process
 * that has it, `unavailable` when impossible.
 */
export async function lockState(directory: string, clock?: Pick<Clock, "sleep">): Promise<StateLock> {
  const path = `${directory}/${LOCK_FILE}`;
  const file = await openLockFile(path, directory);
  let isMine = await file.tryLock(true);
  for (let waitedMs = 0; !isMine && clock !== undefined && waitedMs < WAIT_MS; waitedMs += POLL_MS) {
    await clock.sleep(POLL_MS);
    isMine = await file.tryLock(true);
  }
  if (isMine) {
    await file.truncate(0);
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    return { release: (): void => file.close() };
  }
  file.close();
  const holder = (await Deno.readTextFile(path)).trim();
  const who = holder === "" ? "another process" : `process ${holder}`;
  throw new Fault("stalled", "conflict", `Cannot use state directory ${directory}: ${who} is using it`, {
    advice: "Stop that service first, or give this one a state.directory of its own",
    target: path,
  });
}

async function openLockFile(path: string, directory: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (thrown) {
    const what = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Fault("stalled", "unavailable", `Cannot use state directory ${directory}: ${what}`, {
      advice: "Create it and give it to the service's user",
      target: path,
      cause: thrown,
    });
  }
}
