/** A Permit Manager's message after parsing, and what WPS may say of it (DESIGN 3). */
import type { DataHolder, Person } from "./member.ts";

/** The types that change a permit; every other well-formed type is `ignored`. */
export const EVENT_TYPES = [
  "permit.status.updated",
  "permit.ingress.initiated",
  "permit.workspace.stop_requested",
  "permit.workspace.start_requested",
  "permit.halted",
  "permit.resumed",
  "permit.deleted",
] as const;
/** The source of events that WPS makes itself: its own halt, and those of operators. */
export const OWN_SOURCE = "wps";
/** One of {@link EVENT_TYPES}. */
export type EventType = typeof EVENT_TYPES[number];

/** The fields of `data` that a message gave; what is absent stays as it was. `expiresAt: null` clears. */
export interface PermitUpdate {
  status?: string;
  expiresAt?: string | null;
  tier?: string;
  dataHolders?: DataHolder[];
  preprocessor?: Person;
  reviewer?: Person;
  setupReviewer?: Person;
  researchers?: Person[];
}

/** The fields whose values are words of the site's own files. */
export type SiteWords = Pick<PermitUpdate, "status" | "tier">;

/** A well-formed event. Identity is (source, id). */
export interface PermitEvent {
  source: string;
  /** Null when the message carried none: then it is a duplicate by content only. */
  id: string | null;
  /** As published; one of {@link EVENT_TYPES} or a stranger's. */
  type: string;
  permitId: string;
  /** ISO 8601 instant. */
  time: string | null;
  revision: number | null;
  update: PermitUpdate;
  /** SHA-256 of the canonical JSON of type, permit, time, revision and data: "same body". */
  bodyHash: string;
}

/** One reason per field, for the sender: `path` as in "data.researchers[0].uid". */
export interface FieldError {
  path: string;
  message: string;
}

/** What separates a reason from all the words that would have been right. */
const CHOICES = "; known: ";

/** A reason with the words that would have been right. */
export function withChoices(reason: string, known: Iterable<string>): string {
  return `${reason}${CHOICES}${[...known].join(", ")}`;
}

/** A reason without them: all that a site knows would fill a screen. */
export function withoutChoices(message: string): string {
  return message.split(CHOICES)[0] ?? "";
}

/** Members of an event that WPS does not know and passed over: the first by path, and how many there are. */
export interface UnknownFields {
  paths: string[];
  count: number;
}

/** WPS knows all. */
export const NO_UNKNOWN_FIELDS: UnknownFields = { paths: [], count: 0 };

/** The verdicts of DESIGN 3. */
export const VERDICTS = ["accepted", "duplicate", "conflict", "stale", "ignored", "rejected"] as const;
/** One of {@link VERDICTS}. */
export type Verdict = typeof VERDICTS[number];

/** Whether a type is one of ours. */
export function isEventType(type: string): type is EventType {
  return EVENT_TYPES.some((known) => known === type);
}
