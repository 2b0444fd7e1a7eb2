/** Which connection a permit's question means, and whether it may be told (DESIGN 10). */
import type { Actor } from "../core/audit.ts";
import type { Reason } from "../core/fault.ts";
import { isUsable } from "../core/permit_status.ts";
import { appendAudit } from "../store/audit.ts";
import type { ApiDeps } from "./deps.ts";
import { ProblemError } from "./problem.ts";
import type { ConnectionAnswer } from "./schemas/workspaces.ts";
import { pairsOf, type Snapshot, statusOf, type WorkspacePair } from "../store/snapshot.ts";

/** Who asks. */
export interface Asker {
  actor: Actor;
  requestId: string;
}

/** Which one of several. */
export interface ConnectionChoice {
  username?: string;
  kind?: string;
}

/**
 * The connection, its password opened, the disclosure audited before it leaves. Problems: 409 `ambiguous` with the
 * usernames, 409 `not-ready` before proof, stopped, halted or failed, 404 when nobody of that name has a workspace.
 */
export async function connectionOf(
  deps: Pick<ApiDeps, "db" | "clock" | "secrets">,
  snapshot: Snapshot,
  choice: ConnectionChoice,
  asker: Asker,
): Promise<ConnectionAnswer> {
  const { permitId } = snapshot.permit;
  const pair = choose(snapshot, choice);
  const { wanted, row } = pair;
  const endpoint = row?.observed?.endpoint ?? null;
  if (wanted === null || row === null || row.observed === null || !isUsable(wanted, row.observed)) {
    throw notReady(snapshot, pair);
  }
  if (endpoint === null) throw notReady(snapshot, pair, "its address is not known yet");
  const password = await deps.secrets.password(permitId, pair.key);
  if (password === null) throw notReady(snapshot, pair, "it has no password yet");
  await deps.db.write((tx) =>
    appendAudit(tx, [{
      atMs: deps.clock.now(),
      permitId,
      eventSeq: null,
      jobId: null,
      actor: asker.actor,
      action: "connection.disclosed",
      target: pair.key,
      outcome: "done",
      reason: null,
      requestId: asker.requestId,
    }])
  );
  const { protocol, host, port } = endpoint;
  return { connection: { protocol, host, port, username: wanted.account.username, password } };
}

/** The one workspace that is meant among those that should run. */
function choose(snapshot: Snapshot, { username, kind }: ConnectionChoice): WorkspacePair {
  const { permit, desired } = snapshot;
  const named = pairsOf(snapshot).filter(({ wanted }) => wanted !== null);
  const fitting = named.filter(({ wanted }) =>
    (username === undefined || wanted?.account.username === username) &&
    (kind === undefined || wanted?.kind === kind)
  );
  const candidates = fitting.filter(({ wanted }) => wanted?.power === "running");
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) return only;
  if (only !== undefined) throw ambiguous(permit.permitId, candidates);
  if (desired?.mode === "apply" && named.length > 0 && fitting.length === 0) {
    throw new ProblemError(
      "not-found",
      `Cannot find a workspace of ${username ?? kind} in ${permit.permitId}`,
      {
        reason: "not-found",
        usernames: usernamesOf(named),
      },
    );
  }
  throw notReady(snapshot, fitting[0] ?? null);
}

function ambiguous(permitId: string, candidates: WorkspacePair[]): ProblemError {
  const usernames = usernamesOf(candidates);
  const advice = usernames.length > 1 ? "Say whose with ?username=" : "Say which with ?kind=";
  return new ProblemError(
    "ambiguous",
    `Cannot choose a connection of ${permitId}: ${candidates.length} workspaces run`,
    {
      advice,
      usernames,
      choices: candidates.flatMap(({ wanted }) =>
        wanted === null ? [] : [{ username: wanted.account.username, kind: wanted.kind }]
      ),
    },
  );
}

function usernamesOf(pairs: WorkspacePair[]): string[] {
  return [...new Set(pairs.flatMap(({ wanted }) => wanted === null ? [] : [wanted.account.username]))];
}

/** 409 `not-ready`: says what the workspace is doing, or why the permit has none. */
function notReady(snapshot: Snapshot, pair: WorkspacePair | null, why?: string): ProblemError {
  const { permit, status, job } = snapshot;
  const what = pair === null ? permit.permitId : `${pair.key} of ${permit.permitId}`;
  const word = pair === null ? status : statusOf(snapshot, pair);
  const because = why ?? pair?.row?.detail ?? (word === "RUNNING" ? null : job?.waitingFor) ?? null;
  const detail = `Cannot connect to ${what}: it is ${word}${because === null ? "" : `, ${because}`}`;
  return new ProblemError("not-ready", detail, hindranceOf(snapshot, pair));
}

/** Why there is no connection, for machines, and what brings one back, for people. */
interface Hindrance {
  reason: Reason;
  advice: string;
}

function hindranceOf(snapshot: Snapshot, pair: WorkspacePair | null): Hindrance {
  const { permit, expired, desired, fault, job } = snapshot;
  if (permit.deletion !== "none") {
    return { reason: "deleted", advice: "The permit is deleted; no connection returns" };
  }
  if (permit.halted) {
    return { reason: "halted", advice: "The permit is halted; connections return once it is resumed" };
  }
  if (expired) {
    const advice =
      `The permit expired at ${permit.expiresAt}; connections return after an event with a new expiresAt`;
    return { reason: "deadline", advice };
  }
  if (fault !== null || desired?.mode === "unknown") {
    const advice = "What the permit should be cannot be worked out; wps status says what to mend";
    return { reason: fault?.reason ?? "invalid", advice };
  }
  if (pair === null && desired?.mode === "apply" && desired.missing.length > 0) {
    const advice = "The Permit Manager has not named the person yet; the workspace follows by itself";
    return { reason: "members-missing", advice };
  }
  if (pair === null) return { reason: "no-workspace", advice: "This phase has no workspace" };
  if (pair.wanted?.power === "stopped") {
    const advice = permit.stopRequested
      ? "It was stopped; it returns with permit.workspace.start_requested"
      : "This phase keeps it stopped";
    return { reason: "stopped", advice };
  }
  if (job?.state === "failed") {
    return { reason: job.reason ?? "pod-not-ready", advice: "An operator must act; wps status says how" };
  }
  return {
    reason: "pod-not-ready",
    advice: "Ask again in a moment, or look at GET /permits/{permitId}",
  };
}
