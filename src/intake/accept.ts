/**
 * Judges and records deliveries in one transaction: inbox row, permit, leases, job, audit and outbox commit together
 * or not at all (DESIGN 3, 7). Only then may anything be acknowledged.
 */
import type { Actor } from "../core/audit.ts";
import type { FieldError, PermitEvent } from "../core/event.ts";
import { Fault } from "../core/fault.ts";
import { effectOf } from "../core/merge.ts";
import type { PhaseSet } from "../core/phase.ts";
import { summaryOf, type UpdateSummary } from "../core/update_summary.ts";
import { decideEvent, type Decision, unknownWords } from "../core/verdict.ts";
import { appendAudit } from "../store/audit.ts";
import type { Tx } from "../store/db.ts";
import { absorb, findEvent, findUnackedTwins, insertEvent } from "../store/events.ts";
import { enqueueJob, openJob } from "../store/jobs.ts";
import { getPermit, savePermit } from "../store/permits.ts";
import { withAccounts } from "./accounts.ts";
import type { Delivery, Receipt } from "./delivery.ts";
import { keptBody } from "./kept_body.ts";
import { type ParsedMessage, parseMessage } from "./message.ts";

/** What judging an event needs beside the store. */
export interface AcceptRules {
  phases: PhaseSet;
  /** The site's tiers by name. */
  tiers: ReadonlySet<string>;
  /** `accounts.uidRange`, both ends included. */
  uidRange: readonly [from: number, to: number];
}

/** An audit row's reason stays readable; the event's row has all of them. */
const REASON_MAX = 500;

/**
 * Records deliveries in their order. Out: a receipt for each, in the same order. Whatever throws (a Fault of the store,
 * or a delivery's own `within`) means that nothing of the whole transaction is kept.
 */
export async function acceptBatch(
  tx: Tx,
  deliveries: readonly Delivery[],
  rules: AcceptRules,
  nowMs: number,
): Promise<Receipt[]> {
  const receipts: Receipt[] = [];
  for (const delivery of deliveries) {
    const receipt = await acceptOne(tx, delivery, rules, nowMs);
    await delivery.within?.(tx, receipt);
    receipts.push(receipt);
  }
  return receipts;
}

async function acceptOne(tx: Tx, delivery: Delivery, rules: AcceptRules, nowMs: number): Promise<Receipt> {
  const parsed = parseMessage(delivery.raw, (type) => effectOf(type, rules.phases));
  const { decision, update } = parsed.kind === "rejected"
    ? refusal(parsed, rules)
    : await judge(tx, parsed.event, delivery, rules, nowMs);
  const seen = parsed.kind === "event" ? parsed.event : { ...parsed, revision: null, time: null };
  const reasons = reasonsOf(decision);
  const receipt: Receipt = {
    seq: 0,
    verdict: decision.verdict,
    source: seen.source,
    id: seen.id,
    type: seen.type,
    permitId: seen.permitId === "" ? null : seen.permitId,
    reasons,
    unknownFields: parsed.unknownFields,
    jobId: null,
  };
  const { source, id, type, permitId, verdict } = receipt;
  receipt.seq = await insertEvent(tx, {
    receivedAtMs: nowMs,
    channel: delivery.channel,
    source,
    id,
    type,
    permitId,
    revision: seen.revision,
    time: seen.time,
    verdict,
    reasons,
    unknownFields: parsed.unknownFields,
    update,
    body: keptBody(delivery.raw.body, reasons),
    bodyBytes: delivery.raw.body.byteLength,
    bodyHash: bodyHashOf(parsed),
  });
  if (decision.verdict === "duplicate" && decision.absorbs !== null) await absorb(tx, decision.absorbs);
  if (decision.verdict === "accepted") receipt.jobId = await carryOut(tx, decision, receipt.seq, nowMs);
  await record(tx, delivery, receipt, nowMs);
  return receipt;
}

/** What is said of an event, and what it says. */
interface Judgement {
  decision: Decision;
  update: UpdateSummary | null;
}

function refusal({ errors, words }: ParsedMessage & { kind: "rejected" }, rules: AcceptRules): Judgement {
  // Of a word given twice nobody can say which was meant.
  const isUnclear = (name: string): boolean =>
    errors.some(({ path }) => path === name || path === `data.${name}`);
  const status = isUnclear("status") ? undefined : words.status;
  const tier = isUnclear("tier") ? undefined : words.tier;
  return {
    decision: { verdict: "rejected", errors: [...errors, ...unknownWords(words, rules)] },
    update: summaryOf({ status, tier }, null),
  };
}

/** The decision, with the permit's accounts settled. A used-up uid range is the sender's to know, like any other reason. */
async function judge(
  tx: Tx,
  event: PermitEvent,
  { redelivered, recordedBefore }: Delivery,
  rules: AcceptRules,
  nowMs: number,
): Promise<Judgement> {
  const { phases, tiers } = rules;
  const { source, id, type, permitId, bodyHash } = event;
  if (effectOf(type, phases) === null) {
    const decision = decideEvent({
      event,
      permit: null,
      seen: null,
      redelivered,
      unackedTwins: [],
      phases,
      tiers,
      nowMs,
    });
    return { decision, update: null };
  }
  const permit = await getPermit(tx, permitId);
  const seen = id === null ? null : await findEvent(tx, source, id);
  const twins = id === null && redelivered ? await findUnackedTwins(tx, permitId, type, bodyHash) : [];
  const unackedTwins = twins.map(({ seq }) => seq).filter((seq) => seq <= recordedBefore);
  const decision = decideEvent({ event, permit, seen, redelivered, unackedTwins, phases, tiers, nowMs });
  const update = summaryOf(event.update, permit);
  if (decision.verdict !== "accepted") return { decision, update };
  try {
    const settled = await withAccounts(tx, decision.permit, rules.uidRange, nowMs);
    return { decision: { ...decision, permit: settled }, update };
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.reason !== "quota-exceeded") throw thrown;
    const errors = [{ path: "data", message: `${thrown.message}. ${thrown.advice}` }];
    return { decision: { verdict: "rejected", errors }, update };
  }
}

/** Saves the permit and queues its job. Returns the job's id. */
async function carryOut(
  tx: Tx,
  decision: Decision & { verdict: "accepted" },
  eventSeq: number,
  nowMs: number,
): Promise<number> {
  const { permit } = decision;
  await savePermit(tx, permit, nowMs);
  const { kind, priority } = await urgencyOf(tx, decision);
  const wish = { permitId: permit.permitId, kind, priority, version: permit.version, eventSeq };
  return (await enqueueJob(tx, { ...wish, runAtMs: nowMs, nowMs })).jobId;
}

/** An event that changes nothing takes over an urgent job that it supersedes: a cut must not lose its place. */
async function urgencyOf(
  tx: Tx,
  { permit, job, priority, changed }: Decision & { verdict: "accepted" },
): Promise<{ kind: typeof job; priority: number }> {
  const open = changed ? null : await openJob(tx, permit.permitId);
  return open !== null && open.kind !== "drift" && open.priority < priority
    ? { kind: open.kind, priority: open.priority }
    : { kind: job, priority };
}

async function record(tx: Tx, delivery: Delivery, receipt: Receipt, nowMs: number): Promise<void> {
  const { seq, verdict, source, id, type, permitId, reasons, jobId } = receipt;
  const actor: Actor = delivery.actor ?? { kind: "event", id: source ?? "unknown" };
  const refused = verdict === "rejected" || verdict === "conflict" || verdict === "stale";
  const reason = reasons.map(({ path, message }) => path === "" ? message : `${path}: ${message}`).join("; ");
  await appendAudit(tx, [{
    atMs: nowMs,
    permitId,
    eventSeq: seq,
    jobId,
    actor,
    action: `event.${verdict}`,
    target: type ?? "unknown",
    outcome: refused ? "refused" : "done",
    reason: reason === "" ? null : reason.slice(0, REASON_MAX),
    requestId: delivery.requestId,
    details: { source, id, type, verdict, reasons },
  }]);
}

function reasonsOf(decision: Decision): FieldError[] {
  if (decision.verdict === "accepted") return [];
  if (decision.verdict === "rejected") return decision.errors;
  return [{ path: "", message: decision.reason }];
}

function bodyHashOf(parsed: ParsedMessage): string {
  return parsed.kind === "event" ? parsed.event.bodyHash : parsed.bodyHash;
}
