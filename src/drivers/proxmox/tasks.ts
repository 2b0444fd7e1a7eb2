/** Tasks: a call that begins one only says that it is queued; what becomes of it shows here. */
import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import { type Asked, readTaskEnd } from "./answers.ts";
import { type Client, type Given, valuesOf } from "./client.ts";
import type { Endpoint } from "./endpoints.ts";
import { faultOfAnswer, meansThat, ProxmoxFault } from "./faults.ts";
import { type Hide, hiding } from "./hidden.ts";
import type { ProxmoxConnection } from "./settings.ts";
import { type Upid, upidSchema } from "./upid.ts";

/** Pause before the second look at a task, in milliseconds; a start or a linked clone takes a second or two. */
const LOOK_FIRST_MS = 200;
/** Each pause is longer than the one before by half, up to this: a copy takes minutes, and 50 may be under way. */
const LOOK_MAX_MS = 3_000;
/** A node that restarts its daemons answers again within this time, in milliseconds; the job's own backoff goes on from there. */
const UNREAD_MAX_MS = 120_000;
/** Lines of a log that are read at once. A start has 3, a clone some 20, a copy 100 of progress. */
const LOG_READ = 500;
/** Of these, the last so many are kept: what went wrong stands at the end. */
const LOG_KEPT = 20;
/** Tasks that may copy a disk; what others do takes seconds. */
const COPIES: ReadonlySet<string> = new Set([
  "qmclone",
  "qmmove",
  "qmcreate",
  "qmconfig",
  "qmtemplate",
  "imgcopy",
]);

const statusSchema = z.object({ status: z.string(), exitstatus: z.string().optional() });
const logSchema = z.array(z.object({ n: z.coerce.number(), t: z.string().default("") }));

/** A task that succeeded. */
export interface TaskEnd {
  upid: Upid;
  /** How many warnings it ended with. */
  warnings: number;
  /** The end of its log where there were warnings, else empty. */
  log: readonly string[];
}

/** What waiting needs. */
export interface TaskSurroundings {
  client: Client;
  clock: Clock;
  settings: Pick<ProxmoxConnection, "taskDeadlineMs" | "copyDeadlineMs">;
}

/**
 * Makes a call that begins a task, and waits for its end as {@link waitForTask} does. Null: the call was done at once, as
 * small changes of a configuration are.
 */
export async function runTask<E extends Endpoint>(
  surroundings: TaskSurroundings,
  endpoint: E,
  given: Given<E>,
  signal: AbortSignal,
): Promise<TaskEnd | null> {
  const upid = await surroundings.client.call(endpoint, { ...given, answer: upidSchema.nullable() }, signal);
  if (upid === null) return null;
  return await waitForTask(surroundings, upid, given.asked, signal, hiding(valuesOf(given.params)));
}

/**
 * Waits until a task has ended, and returns only if it has succeeded. Every other end leaves as a Fault, by the same table as
 * an answer's, with the end of its log: failed; not ended at the deadline of its kind; not readable (403, or gone from
 * the node's history), because that is not success. While the server cannot be asked, it is asked again for a while.
 * Whoever stops waiting leaves the task running. `hide`: what the log must not repeat.
 */
export async function waitForTask(
  surroundings: TaskSurroundings,
  upid: Upid,
  asked: Asked,
  signal: AbortSignal,
  hide: Hide = hiding({}),
): Promise<TaskEnd> {
  const { client, clock, settings: { copyDeadlineMs, taskDeadlineMs } } = surroundings;
  const limitMs = COPIES.has(upid.type) ? copyDeadlineMs : taskDeadlineMs;
  const deadlineMs = clock.now() + limitMs;
  let readMs = clock.now(), unread: Fault | null = null;
  for (let pauseMs = LOOK_FIRST_MS;; pauseMs = Math.min(pauseMs * 1.5, LOOK_MAX_MS)) {
    let exitStatus: string | null = null;
    try {
      exitStatus = await look(client, upid, asked, signal);
      [readMs, unread] = [clock.now(), null];
    } catch (thrown) {
      if (signal.aborted) throw leftRunning(upid, asked);
      if (!isPassing(thrown)) throw thrown;
      unread = thrown;
    }
    // Out of the way of that catch: a failed task is a Fault that may look like a failed question.
    if (exitStatus !== null) return await endOf(client, upid, exitStatus, asked, hide, signal);
    if (unread !== null && clock.now() - readMs >= UNREAD_MAX_MS) throw unreadable(unread, asked);
    const leftMs = deadlineMs - clock.now();
    if (leftMs <= 0) throw overdue(upid, asked, limitMs);
    await clock.sleep(Math.min(pauseMs, leftMs), signal);
    if (signal.aborted) throw leftRunning(upid, asked);
  }
}

/** How the task ended; null: it goes on. */
async function look(client: Client, upid: Upid, asked: Asked, signal: AbortSignal): Promise<string | null> {
  const at = { node: upid.node, upid: upid.text };
  try {
    const { status, exitstatus } = await client.call(
      "GET /nodes/{node}/tasks/{upid}/status",
      { at, answer: statusSchema, asked: reading(upid, asked) },
      signal,
    );
    return status === "stopped" ? exitstatus ?? "" : null;
  } catch (thrown) {
    // Both are final, and neither says what became of it.
    if (meansThat(thrown, "denied", "vm-denied", "task-unknown")) throw unreadable(thrown, asked);
    throw thrown;
  }
}

async function endOf(
  client: Client,
  upid: Upid,
  exitStatus: string,
  asked: Asked,
  hide: Hide,
  signal: AbortSignal,
): Promise<TaskEnd> {
  if (exitStatus === "OK") return { upid, warnings: 0, log: [] };
  const ended = readTaskEnd(exitStatus, await readTail(client, upid, asked, signal), hide);
  const warnings = /^WARNINGS: (\d+)$/.exec(exitStatus)?.[1];
  if (warnings !== undefined) return { upid, warnings: Number(warnings), log: ended.log };
  throw faultOfAnswer(asked, ended, { isWrite: false });
}

/** The end of the log; empty where it cannot be read: how the task ended is known without it. */
async function readTail(client: Client, upid: Upid, asked: Asked, signal: AbortSignal): Promise<string[]> {
  const at = { node: upid.node, upid: upid.text };
  const read = async (start: number): Promise<{ lines: string[]; total: number }> => {
    const { items, total } = await client.part(
      "GET /nodes/{node}/tasks/{upid}/log",
      { at, params: { start, limit: LOG_READ }, answer: logSchema, asked: reading(upid, asked) },
      signal,
    );
    return { lines: items.map(({ t }) => t), total: total ?? items.length };
  };
  try {
    const first = await read(0);
    const { lines } = first.total > LOG_READ ? await read(first.total - LOG_KEPT) : first;
    return lines.slice(-LOG_KEPT);
  } catch {
    return [];
  }
}

/** Whether the server may merely not have been reached: the same question may be asked again. */
function isPassing(thrown: unknown): thrown is Fault {
  return thrown instanceof Fault && thrown.disposition === "retry" &&
    (thrown.reason === "unavailable" || thrown.reason === "timeout" || thrown.reason === "denied");
}

function reading({ type, text }: Upid, { target }: Asked): Asked {
  return { what: `read the task ${type} of ${target} (${text})`, target };
}

/** What became of the task is not known; `why`: of the last attempt to read it. */
function unreadable(why: Fault, { what, target }: Asked): Fault {
  const { means, answer } = why instanceof ProxmoxFault ? why : { means: null, answer: null };
  return new ProxmoxFault(
    why.disposition,
    why.reason,
    `Cannot tell whether WPS could ${what}: ${why.message}`,
    {
      target,
      advice: why.advice ?? "None needed: WPS looks again",
      ...(means === null ? {} : { means }),
      ...(answer === null ? {} : { answer }),
      mayBeDone: true,
    },
  );
}

function overdue(upid: Upid, { what, target }: Asked, limitMs: number): Fault {
  const goesOn = `the task ${upid.type} goes on after ${Math.round(limitMs / 1000)} s (${upid.text})`;
  return new ProxmoxFault("retry", "deadline", `Cannot ${what}: ${goesOn}`, {
    target,
    advice: "Look at the task in Proxmox VE; if it is only slow, raise its deadline in drivers.proxmox",
    mayBeDone: true,
  });
}

function leftRunning(upid: Upid, { what, target }: Asked): Fault {
  const message = `Cannot ${what}: stopped on request; the task ${upid.type} goes on (${upid.text})`;
  return new ProxmoxFault("cancelled", "cancelled", message, {
    target,
    advice: "None needed",
    mayBeDone: true,
  });
}
