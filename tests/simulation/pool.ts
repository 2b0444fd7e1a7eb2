/** Runs side by side: a process per core, each playing one run after the other. */
import { linesOf } from "../../src/drivers/kubernetes/watch.ts";
import { makeFolder } from "./surroundings.ts";
import type { WireResult, WireSpec } from "./wire.ts";

/** No run takes longer than some seconds; what takes this long hangs. */
const RUN_MAX_MS = 300_000;

/** How workers are started. */
export interface PoolOptions {
  workers: number;
  /** The folder of the sources: another one where a bug is planted. */
  root: string;
  /** Ends the pool early. */
  signal: AbortSignal;
}

/**
 * Plays what `next` gives until it gives null, and tells each result. A worker that dies or hangs is a failed run of
 * its seed.
 */
export async function playAll(
  { workers, root, signal }: PoolOptions,
  next: () => WireSpec | null,
  told: (result: WireResult) => void,
): Promise<void> {
  await Promise.all(Array.from({ length: workers }, async () => {
    for (let isOver = false; !isOver && !signal.aborted;) isOver = await employ(root, next, told, signal);
  }));
}

/** One worker for as long as it lives. True: there is nothing more to play. */
async function employ(
  root: string,
  next: () => WireSpec | null,
  told: (result: WireResult) => void,
  signal: AbortSignal,
): Promise<boolean> {
  // A worker that is killed cannot tidy up: what it leaves lies in its parent's folder.
  const folder = await makeFolder();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `${root}tests/simulation/worker.ts`, folder],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const input = child.stdin.getWriter();
  const lines = linesOf(child.stdout, () => {});
  const end = (): void => kill(child);
  signal.addEventListener("abort", end, { once: true });
  try {
    for (let spec = next(); spec !== null && !signal.aborted; spec = next()) {
      const answer = await ask(input, lines, spec, end);
      if (answer !== null) told(answer);
      else if (!signal.aborted) {
        told(failed(spec));
        return false;
      }
    }
    return true;
  } finally {
    signal.removeEventListener("abort", end);
    await input.close().catch(() => {});
    await lines.return(undefined);
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
}

/** Null: the worker ended, or had to be ended. */
async function ask(
  input: WritableStreamDefaultWriter<Uint8Array>,
  lines: AsyncGenerator<string>,
  spec: WireSpec,
  end: () => void,
): Promise<WireResult | null> {
  const timer = setTimeout(end, RUN_MAX_MS);
  try {
    await input.write(new TextEncoder().encode(`${JSON.stringify(spec)}\n`));
    const { value, done } = await lines.next();
    return done ? null : JSON.parse(value);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function failed({ seed }: WireSpec): WireResult {
  const failures = [`the simulation's process ended, or took longer than ${RUN_MAX_MS / 1000} s`];
  const nothing = { struck: {}, transitions: {}, permits: 0, messages: 0 };
  const times = { dataMs: 0, excusedMs: 0, simulatedMs: 0 };
  return { seed, completed: false, failures, ...nothing, ...times };
}
