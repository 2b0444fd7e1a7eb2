/** consolidate.sh as a pod that stops after any of its system calls, and goes on or dies when it is told to. */
import assert from "node:assert/strict";
import { asPod, exists, folder, HOLDER, type Outcome, type Volumes } from "./consolidation_volumes.ts";

export const STRACE = "/usr/bin/strace";
/** Whether programs can be stopped, and made to fail, so. */
export const canStop = exists(STRACE);

/** Calls that change a file system, of those below; after each of them, and before it, a pod is stopped once. */
const CHANGING = /^\d+ +(rename|unlink|rmdir|mkdir|link|chmod|chown|fsync|syncfs)\(|O_CREAT/;
/** None that a signal interrupts: it would be begun again, and stopped again, for ever. */
const CALLS = "rename,unlink,rmdir,mkdir,link,chmod,chown,fsync,syncfs,openat,execve,newfstatat";

/** A run of the script under strace. */
export interface Pod extends AsyncDisposable {
  /** The pod has stopped, or ended before it came so far. */
  held: Promise<void>;
  /** Lets it go on to its end. */
  goOn(): Promise<Outcome>;
  /** Ends all its processes at once. */
  kill(): Promise<void>;
}

/** A scratch folder of a pod's own beside that of the volumes. */
export async function podVolumes(given: Volumes, name: string): Promise<Volumes> {
  return { ...given, scratch: await folder(`${given.root}/scratch-${name}`, HOLDER, HOLDER, 0o700) };
}

/** Starts a pod, which stops after its `stopAt`th call. */
export function startPod(given: Volumes, stopAt: number, script?: string): Pod {
  const before = [STRACE, "-f", "-qq", "-e", `trace=${CALLS}`, "-o", "/dev/stderr", "-e"];
  before.push(`inject=${CALLS}:signal=SIGSTOP`);
  const child = asPod(given, { before, script }).spawn();
  const held = Promise.withResolvers<void>();
  let stops = 0, stopped = 0;
  const follow = async (): Promise<void> => {
    for await (const line of linesOf(child.stderr)) {
      if (!line.includes("--- stopped by SIGSTOP ---")) continue;
      stops += 1;
      const pid = parseInt(line);
      if (stops === stopAt) {
        stopped = pid;
        held.resolve();
      } else resume(pid);
    }
    held.resolve();
  };
  const ended = Promise.all([child.status, child.stdout.cancel(), follow()]);
  const kill = async (): Promise<void> => {
    for (const pid of descendantsOf(child.pid)) signal(pid, "SIGKILL");
    await ended;
  };
  return {
    held: held.promise,
    kill,
    goOn: async () => {
      if (stopped !== 0) resume(stopped);
      const [{ code }] = await ended;
      const report = await Deno.readTextFile(`${given.scratch}/report`).catch(() => "no report");
      return { code, report };
    },
    [Symbol.asyncDispose]: kill,
  };
}

/** Numbers of the calls of an undisturbed run that change something, and of those just before them. */
export async function callsThatMatter(given: Volumes, script?: string): Promise<number[]> {
  const before = [STRACE, "-f", "-qq", "-e", `trace=${CALLS}`, "-o", "/dev/stderr"];
  const output = await asPod(given, { before, script }).output();
  assert.ok(output.success);
  const calls = new TextDecoder().decode(output.stderr).split("\n").filter((line) =>
    /^\d+ +[a-z0-9]+\(/.test(line)
  );
  assert.ok(calls.length > 100, "strace tells what it sees");
  return calls.flatMap((call, index) => CHANGING.test(call) ? [index, index + 1] : [])
    .filter((at, index, all) => at > 0 && at !== all[index - 1]);
}

function resume(pid: number): void {
  signal(pid, "SIGCONT");
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function descendantsOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  if (!exists(path)) return [];
  const children = Deno.readTextFileSync(path).trim().split(" ").filter((text) => text !== "").map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
