/** What the Permit Manager publishes in a run: each permit's way through its phases, as a seed draws it. */
import { EVENT_TYPES } from "../../src/core/event.ts";
import type { Faults } from "./faults.ts";
import { START_MS } from "./timeline.ts";
import type { SeededRandom } from "../seeded_random.ts";

/** The statuses of DESIGN 4. */
export const STATUSES = [
  "AWAITING_INGRESS",
  "DATA_PREPARATION_PENDING",
  "DATA_PREPARATION_REVIEW_PENDING",
  "DATA_PREPARATION_REWORK",
  "WORKSPACE_SETUP_PENDING",
  "WORKSPACE_SETUP_REVIEW_PENDING",
  "WORKSPACE_SETUP_REWORK",
  "ANALYSIS_ACTIVE",
  "ARCHIVED",
] as const;

/** Events that are no statuses. */
export const FLAGS = EVENT_TYPES.filter((type) => type !== "permit.status.updated");

/** One of either, or a change of people. */
export type Move = typeof STATUSES[number] | typeof FLAGS[number] | "people";

/** A message to be published. */
export interface Message {
  permitId: string;
  /** For reports, and for the shrinker: which one of its permit. */
  index: number;
  move: Move | "nonsense" | "ignored";
  /** After the run's beginning, in milliseconds. */
  atMs: number;
  routingKey: string;
  messageId: string | null;
  body: string;
}

/** Events of one permit at most; with the phases' length a permit is seldom at rest. */
const MOVES_MAX = 9;
const PERMITS_MAX = 4;
/** Between two events of one permit: mostly less than a phase takes, sometimes long. */
const SHORT_MS = 3_000, LONG_MS = 900_000;
/**
 * A date that comes while the run goes on, a date beyond every run, or none any more: so that what expired is lifted, too.
 * Runs end long after the soonest; wrong clocks are off by less than the furthest is away.
 */
const SOON_MS = 400_000, FAR_MS = 4_000 * 86_400_000;
/** Copies and delays of a publisher that tries again. */
const AGAIN_MAX_MS = 60_000;

/** The usual order, which most permits follow most of the time. */
const WAY: readonly Move[] = [
  "AWAITING_INGRESS",
  "permit.ingress.initiated",
  "DATA_PREPARATION_PENDING",
  "DATA_PREPARATION_REVIEW_PENDING",
  "WORKSPACE_SETUP_PENDING",
  "WORKSPACE_SETUP_REVIEW_PENDING",
  "ANALYSIS_ACTIVE",
  "permit.workspace.stop_requested",
  "permit.workspace.start_requested",
  "WORKSPACE_SETUP_PENDING",
  "ANALYSIS_ACTIVE",
  "ARCHIVED",
  "permit.deleted",
];

/** Draws the whole run's messages, in the order of their time. */
export function drawHistory(random: SeededRandom, faults: Faults): Message[] {
  const permits = random.between(1, PERMITS_MAX);
  const messages: Message[] = [];
  for (let number = 1; number <= permits; number++) {
    messages.push(...drawPermit(`permit-${number}`, random.fork(`permit-${number}`), faults));
  }
  return messages.sort((a, b) => a.atMs - b.atMs);
}

function drawPermit(permitId: string, random: SeededRandom, faults: Faults): Message[] {
  const style = random.pick(["canonical", "canonical", "minimal"] as const);
  const count = random.between(2, MOVES_MAX);
  const messages: Message[] = [];
  let at = random.chance(0.5) ? 0 : random.between(0, WAY.length - 3);
  let atMs = random.between(0, SHORT_MS);
  const end = drawEnd(random);
  for (let index = 0; index < count + end.length; index++) {
    const move = index === 0 ? firstMove(random) : end[index - count] ?? nextMove(random, at);
    at = WAY.indexOf(move) >= 0 ? WAY.indexOf(move) + 1 : at;
    const message = compose(permitId, move, index, atMs, style, index === 0, random);
    messages.push(...withTrouble(message, random, faults));
    atMs += pauseMs(random);
  }
  return messages;
}

function pauseMs(random: SeededRandom): number {
  return random.chance(0.7) ? random.between(10, SHORT_MS) : random.between(SHORT_MS, LONG_MS);
}

/** Most permits outlive their history; the others end by their deletion, of which some are halted, and few resumed. */
function drawEnd(random: SeededRandom): Move[] {
  if (!random.chance(0.3)) return [];
  const isHalted = random.chance(0.4);
  return [
    ...(isHalted ? ["permit.halted" as const] : []),
    "permit.deleted",
    ...(isHalted && random.chance(0.3) ? ["permit.resumed" as const] : []),
  ];
}

/** The first event names everybody, so it is a status: a flag carries no people. */
function firstMove(random: SeededRandom): Move {
  return random.chance(0.6) ? "AWAITING_INGRESS" : random.pick(STATUSES);
}

function nextMove(random: SeededRandom, at: number): Move {
  if (random.chance(0.7)) return WAY[at % WAY.length] ?? "ARCHIVED";
  if (random.chance(0.1)) return "people";
  // Deletion is final: drawn seldom, or histories would be short.
  const flags = FLAGS.filter((flag) => flag !== "permit.deleted" || random.chance(0.3));
  return random.chance(0.5) ? random.pick(STATUSES) : random.pick(flags);
}

/** Everybody that a permit may name. */
function people(random: SeededRandom): Record<string, unknown> {
  const holders = random.between(1, 2), researchers = random.between(1, 2);
  return {
    dataHolders: Array.from({ length: holders }, (_, index) => ({
      id: `hospital-${index + 1}`,
      username: `h${index + 1}`,
      allowedCidrs: [`203.0.113.${index + 1}/32`],
      sshPublicKeys: [],
    })),
    preprocessor: { username: "m.keller" },
    reviewer: { username: "a.rossi" },
    setupReviewer: { username: "a.rossi" },
    researchers: Array.from({ length: researchers }, (_, index) => ({
      username: `r${index + 1}`,
      uid: 21_001 + index,
      gid: 21_001 + index,
    })),
  };
}

function compose(
  permitId: string,
  move: Move,
  index: number,
  atMs: number,
  style: "canonical" | "minimal",
  isFirst: boolean,
  random: SeededRandom,
): Message {
  const isFlag = FLAGS.some((flag) => flag === move);
  const routingKey = isFlag ? move : "permit.status.updated";
  const named = isFirst || move === "people" ? people(random) : {};
  const status = isFlag || move === "people" ? {} : { status: move };
  const date = dateOf(move, atMs, random);
  const messageId = `evt-${permitId}-${index}`;
  const body = style === "canonical"
    ? {
      id: messageId,
      type: routingKey,
      permitId,
      revision: index + 1,
      data: { ...status, ...named, ...date },
    }
    : { permitId, ...status, ...named, ...date };
  return {
    permitId,
    index,
    move,
    atMs,
    routingKey,
    messageId: style === "canonical" ? null : messageId,
    body: JSON.stringify(body),
  };
}

/** Halt and deletion take no fields; most events say nothing of a date. */
function dateOf(move: Move, atMs: number, random: SeededRandom): { expiresAt?: string | null } {
  if (move === "permit.halted" || move === "permit.deleted" || !random.chance(0.2)) return {};
  const which = random.pick(["soon", "far", "none"] as const);
  if (which === "none") return { expiresAt: null };
  const inMs = which === "soon" ? random.between(1, SOON_MS) : FAR_MS;
  return { expiresAt: new Date(START_MS + atMs + inMs).toISOString() };
}

/** What publishers and the way to the broker do to a message: copies, delays, nonsense beside it. */
function withTrouble(message: Message, random: SeededRandom, faults: Faults): Message[] {
  const messages = [message];
  const later = (): number => message.atMs + random.between(1, AGAIN_MAX_MS);
  if (faults.strikes("duplicate")) messages.push({ ...message, atMs: later() });
  if (faults.strikes("conflicting")) messages.push({ ...changed(message), atMs: later() });
  // The first names everybody: without it a permit would wait for people until the end.
  if (message.index === 0) return messages;
  if (faults.strikes("delayed")) message.atMs += random.between(1, AGAIN_MAX_MS);
  if (faults.strikes("reordered")) message.atMs = Math.max(1, message.atMs - 2 * SHORT_MS);
  if (faults.strikes("bad-message")) {
    const bad = { ...message, atMs: later(), messageId: null };
    messages.push(
      random.chance(0.3)
        ? { ...bad, move: "ignored", routingKey: "permit.analysis.approved" }
        : { ...bad, move: "nonsense", body: random.pick(NONSENSE(message.permitId)) },
    );
  }
  return messages;
}

/** Another body under the same id: it must change nothing. */
function changed(message: Message): Message {
  return {
    ...message,
    move: "nonsense",
    body: message.body.replace(/}$/, ',"reviewer":{"username":"x.other"}}'),
  };
}

const NONSENSE = (permitId: string): string[] => [
  "{",
  "[]",
  JSON.stringify({ permitId, status: "NO_SUCH_STATUS" }),
  JSON.stringify({ permitId, status: "ANALYSIS_ACTIVE", researchers: [{ username: "root", uid: 0 }] }),
  JSON.stringify({ status: "ANALYSIS_ACTIVE" }),
];
