/** What WPS says of a well-formed event: a pure decision over what the store knows (DESIGN 3). */
import { type FieldError, type PermitEvent, type SiteWords, withChoices } from "./event.ts";
import { JOB_PRIORITY, type JobKind } from "./job.ts";
import { applyUpdate, compareInstants, effectOf, mergeMembers } from "./merge.ts";
import { newPermit, type Permit } from "./permit.ts";
import type { PhaseSet } from "./phase.ts";
import { canonicalJson } from "./sha256.ts";
import { jobFor } from "./urgency.ts";

/** The event that established a (source, id): the first one accepted or found stale under it. */
export interface SeenEvent {
  /** Its number in the inbox. */
  seq: number;
  bodyHash: string;
}

/** Everything the decision rests on. */
export interface DecisionInput {
  event: PermitEvent;
  /** The permit as it stands in this transaction; null: unknown so far. */
  permit: Permit | null;
  /** Who established this event's (source, id); null also for an event without an id. */
  seen: SeenEvent | null;
  /** The broker delivered this message before, perhaps to us. */
  redelivered: boolean;
  /**
   * Rows of this permit without an id, equal in type and body, that no redelivery was matched with yet and whose
   * acknowledgement may not have reached the broker; oldest first.
   */
  unackedTwins: readonly number[];
  phases: PhaseSet;
  /** The site's tiers by name. */
  tiers: ReadonlySet<string>;
  /** Epoch milliseconds: an expired permit is given nothing. */
  nowMs: number;
}

/** The verdict with what follows from it. `reason` is a sentence for the sender, without a full stop. */
export type Decision =
  | { verdict: "accepted"; permit: Permit; job: JobKind; priority: number; changed: boolean }
  /** `of`: the inbox row it repeats, where known. `absorbs`: that row has now been matched with a redelivery. */
  | { verdict: "duplicate"; reason: string; of: number | null; absorbs: number | null }
  | { verdict: "conflict"; reason: string }
  | { verdict: "stale"; reason: string }
  | { verdict: "ignored"; reason: string }
  | { verdict: "rejected"; errors: FieldError[] };

/** Judges one event. Never throws; whoever calls it writes what it says in one transaction. */
export function decideEvent(input: DecisionInput): Decision {
  const { event, phases } = input;
  const effect = effectOf(event.type, phases);
  if (effect === null) {
    return { verdict: "ignored", reason: `${event.type} is not an event that WPS acts on` };
  }
  const repeated = repetition(input);
  if (repeated !== null) return repeated;
  const urgent = effect === "halt" || effect === "destroy";
  const unknown = urgent ? [] : unknownWords(event.update, input);
  const before = input.permit ?? newPermit(event.permitId);
  const late = afterDeletion(before, urgent || effect === "resume") ??
    (urgent ? null : outOfOrder(before, event));
  if (late !== null && unknown.length === 0) return late;
  const merged = urgent ? null : mergeMembers(before, event.update);
  const clashes = merged !== null && "errors" in merged ? merged.errors : [];
  const errors = [...clashes, ...unknown];
  if (errors.length > 0) return { verdict: "rejected", errors };

  const permit = applyUpdate(before, event, phases);
  const job = jobFor(before, permit, phases, input.nowMs);
  return {
    verdict: "accepted",
    permit,
    job,
    priority: JOB_PRIORITY[job],
    changed: wish(before) !== wish(permit),
  };
}

/** Duplicates and conflicts by identity; without an id by content (DESIGN 3). */
function repetition({ event, permit, seen, redelivered, unackedTwins }: DecisionInput): Decision | null {
  if (seen !== null) {
    if (seen.bodyHash === event.bodyHash) {
      return {
        verdict: "duplicate",
        reason: `Same id and body as event ${seen.seq}`,
        of: seen.seq,
        absorbs: null,
      };
    }
    return { verdict: "conflict", reason: `Event ${seen.seq} has this id and another body` };
  }
  if (event.id !== null) return null;
  const twin = redelivered ? unackedTwins[0] : undefined;
  if (twin !== undefined) {
    const reason = `Delivered again: event ${twin} was recorded, its acknowledgement may have been lost`;
    return { verdict: "duplicate", reason, of: twin, absorbs: twin };
  }
  const latest = permit?.latest;
  if (latest?.type !== event.type || latest.bodyHash !== event.bodyHash) return null;
  const reason = "Same type and body as this permit's latest event, and it has no id";
  return { verdict: "duplicate", reason, of: null, absorbs: null };
}

/**
 * A status or tier that this site does not know: rejected, never a guess (DESIGN 4). Out: a reason for each, none where
 * the site knows both.
 */
export function unknownWords(
  { status, tier }: SiteWords,
  { phases, tiers }: Pick<DecisionInput, "phases" | "tiers">,
): FieldError[] {
  const errors: FieldError[] = [];
  if (status !== undefined && !phases.statuses.has(status)) {
    const message = withChoices(`no phase is named ${status}`, phases.statuses.keys());
    errors.push({ path: "data.status", message });
  }
  if (tier !== undefined && !tiers.has(tier)) {
    errors.push({ path: "data.tier", message: withChoices(`no tier is named ${tier}`, tiers) });
  }
  return errors;
}

/** `permit.deleted` is final. Until everything is gone, halt, resume and a repeated deletion still count (DESIGN 6). */
function afterDeletion(permit: Permit, stillCounts: boolean): Decision | null {
  if (permit.deletion === "none" || (permit.deletion === "requested" && stillCounts)) return null;
  return { verdict: "stale", reason: "The permit was deleted; nothing changes it any more" };
}

/** By revision; where one of the two lacks it, by time; where one lacks that too, by arrival. */
function outOfOrder(permit: Permit, { revision, time }: PermitEvent): Decision | null {
  if (revision !== null && permit.lastRevision !== null) {
    const last = permit.lastRevision;
    if (revision < last) return { verdict: "stale", reason: `Revision ${revision} is older than ${last}` };
    if (revision > last) return null;
    return { verdict: "conflict", reason: `Revision ${revision} already came under another id` };
  }
  if (time === null || permit.lastTime === null || compareInstants(time, permit.lastTime) >= 0) return null;
  return { verdict: "stale", reason: `Its time ${time} is before ${permit.lastTime}` };
}

/** What a permit should be, without the bookkeeping of how it became so. */
function wish(permit: Permit): string {
  const {
    status,
    members,
    tier,
    expiresAt,
    expired,
    ingressBatch,
    ingressOpen,
    stopRequested,
    halted,
    deletion,
  } = permit;
  return canonicalJson({
    status,
    members,
    tier,
    expiresAt,
    expired,
    ingressBatch,
    ingressOpen,
    stopRequested,
    halted,
    deletion,
  });
}
