/** What is wrong with a permit and what to do about it: the last lines of `wps status`. */
import { toInstant } from "../core/clock.ts";
import type { TroubleView, VolumeView } from "./schemas/permits.ts";
import type { HaltView } from "./schemas/halts.ts";
import type { WorkspaceView } from "./schemas/workspaces.ts";
import { withoutChoices } from "../core/event.ts";
import { describeBreach } from "../core/invariants.ts";
import type { BreachRow } from "../store/breaches.ts";
import type { EventRow } from "../store/events.ts";
import type { Snapshot } from "../store/snapshot.ts";

/** What is told beside the snapshot. */
export interface Told {
  workspaces: WorkspaceView[];
  volumes: VolumeView[];
  /** The halt that stands. */
  halt: HaltView | null;
  /** Invariants that the last look found broken. */
  broken: readonly BreachRow[];
  /** The newest event of the Permit Manager that was taken or refused. */
  answered: EventRow | null;
  /** Its end is near and was warned of. */
  isExpiring: boolean;
  /** What made the permit as it is. */
  accepted: EventRow | null;
  /** The service runs; else nothing is carried out. */
  isLive: boolean;
}

/** Everything wrong with a permit, the gravest first; empty: all is as it should be. */
export function troublesOf(
  snapshot: Snapshot,
  { workspaces, volumes, halt, broken, answered, isExpiring, accepted, isLive }: Told,
): TroubleView[] {
  return [
    ...(isLive ? [] : [NOT_RUNNING]),
    ...fromInvariants(snapshot, broken),
    ...uncut(snapshot, workspaces, isLive),
    ...breaches(workspaces),
    ...lostVolumes(volumes),
    ...fromDesired(snapshot),
    ...fromJob(snapshot, isLive),
    ...fromHalt(snapshot, halt),
    ...fromPermit(snapshot, workspaces),
    ...fromRefusal(snapshot, answered, accepted),
    ...(isExpiring && !snapshot.expired ? [endingSoon(snapshot)] : []),
  ];
}

/** First of all: what else is told is of yesterday, and what it says to follow by itself does not. */
const NOT_RUNNING: TroubleView = {
  reason: "unavailable",
  target: "service",
  message: "The service does not run: this is what it recorded last, and nothing is carried out",
  advice: "Start it with wps serve, or systemctl start wps; what it left goes on by itself then",
};

function breaches(workspaces: WorkspaceView[]): TroubleView[] {
  return workspaces.filter(({ network }) => network === "breached").map(({ key, detail }) => ({
    reason: "isolation-breached",
    target: key,
    message: detail ?? `Something that is not WPS's opens the network of ${key}`,
    advice: "Remove that policy; WPS keeps the workspace stopped meanwhile",
  }));
}

function lostVolumes(volumes: VolumeView[]): TroubleView[] {
  return volumes.filter(({ state }) => state === "lost").map(({ key, detail }) => ({
    reason: "volume-lost",
    target: key,
    message: `Volume ${key} has lost what backed it${detail === null ? "" : `: ${detail}`}`,
    advice: "Restore it from backup; WPS never replaces data by an empty volume",
  }));
}

function fromDesired({ desired, fault, permit }: Snapshot): TroubleView[] {
  if (fault !== null) {
    return [{ reason: fault.reason, target: fault.target, message: fault.message, advice: fault.advice }];
  }
  if (desired?.mode === "unknown") {
    return [{
      reason: "invalid",
      target: "permit",
      message: `No phase file describes status ${desired.status}`,
      advice:
        `Restore the phase file, run wps phases check, restart the service, then wps drift ${permit.permitId} --repair`,
    }];
  }
  if (desired?.mode !== "apply") return [];
  return desired.missing.map((role) => ({
    reason: "members-missing",
    target: role,
    message: `Status ${permit.status} needs a ${role}, and nobody has been named`,
    advice: "The Permit Manager must name one in an event; the workspace follows by itself",
  }));
}

function fromJob({ job }: Snapshot, isLive: boolean): TroubleView[] {
  if (job === null || job.reason === null) return [];
  const target = `job ${job.id}`;
  if (job.state === "running" && job.waitingFor !== null && job.advice !== null) {
    const message = `Job ${job.id} ${isLive ? "waits" : "waited"}: ${job.waitingFor}`;
    return [{ reason: job.reason, target, message, advice: job.advice }];
  }
  if (job.message === null) return [];
  if (job.state === "failed") {
    const advice = job.advice ?? "WPS tries again by itself";
    return [{
      reason: job.reason,
      target,
      message: job.message,
      advice: `${advice}; to try at once run wps jobs retry ${job.id}`,
    }];
  }
  if (job.state === "cancelled") {
    return [{
      reason: job.reason,
      target,
      message: `Job ${job.id} was cancelled`,
      advice: `To go on run wps jobs retry ${job.id}`,
    }];
  }
  const isRetry = job.state === "queued" && job.attempt > 0;
  return isRetry ? [{ reason: job.reason, target, message: job.message, advice: job.advice }] : [];
}

/** What must never be, as the last look at the platform saw it. */
function fromInvariants({ permit }: Snapshot, broken: readonly BreachRow[]): TroubleView[] {
  if (permit.deletion === "done") return [];
  const stop = permit.halted ? "" : `; to stop everything at once run wps halt ${permit.permitId}`;
  return broken.map((breach) => ({
    reason: "invariant-broken",
    target: breach.target,
    message: `Broken since ${toInstant(breach.sinceMs)}: ${describeBreach(breach)}`,
    advice: `WPS takes away by itself what it may; find out who changed the platform${stop}`,
  }));
}

/** Loud, because whoever ends access must know what still stands open. */
function uncut(snapshot: Snapshot, workspaces: WorkspaceView[], isLive: boolean): TroubleView[] {
  const { permit, status } = snapshot;
  const reason = whyHeld(snapshot);
  if (reason === null || permit.deletion === "done" || status === "HALTED") return [];
  const standing = workspaces.filter(({ network, status }) =>
    network === "open" || (network === "breached" && status !== "STOPPED")
  );
  return standing.map(({ key, network, detail }) => ({
    reason,
    target: key,
    message: `The network of ${key} was not yet seen to be cut${
      network === "breached" && detail !== null ? `: ${detail}` : ""
    }`,
    advice: isLive
      ? "WPS tries without end; if it lasts, take its pod or its node from the network on the platform"
      : "Nobody tries while the service does not run: start it, or take its pod or its node from the network",
  }));
}

/** Why nobody may reach anything of the permit; null: somebody may. */
function whyHeld({ permit, expired }: Snapshot): TroubleView["reason"] | null {
  if (permit.halted) return "halted";
  if (expired) return "deadline";
  return permit.deletion === "requested" ? "terminating" : null;
}

function fromHalt({ permit, status }: Snapshot, halt: HaltView | null): TroubleView[] {
  if (!permit.halted || permit.deletion === "done") return [];
  const isOver = status === "HALTED";
  const state = isOver
    ? "its network is cut and its workspaces are stopped"
    : "its network is being cut and its workspaces stopped";
  const isEnding = permit.deletion === "requested";
  const deletion = isEnding ? "; its deletion waits for the end of the halt: the volumes are kept" : "";
  const sequel = isEnding ? ": the deletion then goes on and destroys the volumes" : "";
  const [first] = halt?.orders ?? [];
  const who = first === undefined ? "is halted" : `was halted at ${first.at} ${orderText(first)}`;
  const found = halt?.orders.some(({ breached }) => breached !== null)
    ? "Find out how it came about and close the way out; WPS halts again while it stands"
    : "Settle the cause";
  return [{
    reason: "halted",
    target: "permit",
    message: `The permit ${who}; ${state}${deletion}`,
    advice: `${found}. Then run wps resume ${permit.permitId}${sequel}`,
  }];
}

/** "by operator anna: suspected leak", "by WPS itself: research/a: a probe beside it reached tcp 192.0.2.1:443". */
function orderText({ by, reason, breached }: HaltView["orders"][number]): string {
  const words = { operator: `operator ${by.id}`, api: `API caller ${by.id}`, event: `an event of ${by.id}` };
  const who = by.kind === "service" ? "WPS itself" : words[by.kind];
  const what = breached === null ? reason : `in ${breached} ${reason ?? "a way out was found"}`;
  return `by ${who}${what === null ? "" : `: ${what}`}`;
}

function fromPermit({ permit, status, expired }: Snapshot, workspaces: WorkspaceView[]): TroubleView[] {
  const troubles: TroubleView[] = [];
  if (expired) {
    const cut = workspaces.some(({ network }) => network === "open") ? "is being cut" : "is cut";
    const state = status === "STOPPING" ? "are being stopped" : "are stopped";
    troubles.push({
      reason: "deadline",
      target: "permit",
      message: `The permit expired at ${permit.expiresAt}: its network ${cut} and its workspaces ${state}`,
      advice: "Send an event with a new expiresAt, or null for no end; the volumes are kept meanwhile",
    });
  }
  return troubles;
}

/** Nothing is wrong yet, but whoever can prolong it must hear of it in time. */
function endingSoon({ permit: { expiresAt } }: Snapshot): TroubleView {
  return {
    reason: "expiring",
    target: "permit",
    message: `The permit expires at ${expiresAt}: its network is cut then and its workspaces are stopped`,
    advice:
      "If it is to go on, an event must bring a later expiresAt, or null for no end; the volumes are kept",
  };
}

/** What was sent last does not count, and nothing else here would show it. */
function fromRefusal(
  { permit }: Snapshot,
  answered: EventRow | null,
  accepted: EventRow | null,
): TroubleView[] {
  if (answered === null || permit.deletion === "done") return [];
  const { seq, verdict, update, type, reasons: [first] } = answered;
  if (verdict !== "rejected" && verdict !== "conflict") return [];
  const isConflict = verdict === "conflict";
  const what = update?.status ?? type ?? "of no known type";
  const message = withoutChoices(first?.message ?? "");
  const path = first === undefined || first.path === "" ? "" : `${first.path}: `;
  const when = toInstant(answered.receivedAtMs);
  const stands = accepted === null
    ? "nothing counts"
    : `what counts is event ${accepted.seq}, status ${permit.status ?? "none"}`;
  return [{
    reason: isConflict ? "event-conflict" : "event-rejected",
    target: `event ${seq}`,
    message: `The newest event (${what}) ${
      isConflict ? "contradicted an earlier one" : "was rejected"
    } at ${when}: ${path}${message}`,
    advice: `Look at wps events show ${seq}; it must be sent again ${
      isConflict ? "under a new id and a higher revision" : "mended"
    }. Until then ${stands}`,
  }];
}
