/**
 * A delivery's bytes and properties to an event, or to the reasons why it is none (DESIGN 3). Three forms:
 * canonical JSON, CloudEvents 1.0 (structured and binary), and the minimal one, whose type is the routing key and
 * whose id is the message id. Members that WPS does not know are passed over and told; what it knows must be right,
 * and nothing may be given twice.
 */
import { createHash } from "node:crypto";
import {
  type FieldError,
  NO_UNKNOWN_FIELDS,
  type PermitEvent,
  type PermitUpdate,
  type SiteWords,
  type UnknownFields,
} from "../core/event.ts";
import type { EventEffect } from "../core/merge.ts";
import { canonicalJson } from "../core/sha256.ts";
import { ambiguities, certain } from "./ambiguity.ts";
import { cloudEvent, cloudEventForm } from "./cloudevents.ts";
import {
  type CheckedEnvelope,
  checkEnvelope,
  type Envelope,
  type EnvelopeResult,
  type RawMessage,
  readable,
} from "./envelope.ts";
import { parseUpdate, UPDATE_FIELDS } from "./fields.ts";
import { BODY_BYTES_MAX, decodeJson, isObject, member } from "./json.ts";
import { quoted } from "./text.ts";
import { unknownFields } from "./unknown_fields.ts";

/** Who sends where a message does not say (DESIGN 3). */
export const DEFAULT_SOURCE = "permit-manager";

/** What a rejected message says of itself, as far as it could be read. */
export interface Rejected {
  kind: "rejected";
  source: string | null;
  id: string | null;
  type: string | null;
  permitId: string | null;
  errors: FieldError[];
  /** Those of its words that could be read, whether the site knows them or not. */
  words: SiteWords;
  unknownFields: UnknownFields;
  /** SHA-256 of the bytes (of an oversized body: of those kept). */
  bodyHash: string;
}

/** The outcome of {@link parseMessage}. */
export type ParsedMessage = { kind: "event"; event: PermitEvent; unknownFields: UnknownFields } | Rejected;

/**
 * Reads one message. `effect` says what a type does; null: not ours, then only its type must be readable and the
 * verdict will be `ignored`. Pure, and never throws.
 */
export function parseMessage(raw: RawMessage, effect: (type: string) => EventEffect | null): ParsedMessage {
  const found = readEnvelope(raw);
  if ("errors" in found) return rejected(raw, null, found.errors);
  const { envelope } = found;
  const { type } = readable(envelope);
  const does = type === null ? null : effect(type);
  const isClear = !envelope.repeated.includes("type");
  if (type !== null && does === null && isClear) {
    return { kind: "event", event: stranger(type, envelope), unknownFields: NO_UNKNOWN_FIELDS };
  }

  const head = checkEnvelope(envelope);
  // Nothing in the data of a halt or a deletion may stand in its way.
  const takesFields = does !== "halt" && does !== "destroy";
  const errors = [
    ...ambiguities(envelope, takesFields || !isClear),
    ...("errors" in head ? head.errors : []),
  ];
  const gathered = takesFields ? gatherFields(envelope.payload) : { known: {}, all: {} };
  if ("errors" in gathered) return rejected(raw, envelope, [...errors, ...gathered.errors]);
  const fields = takesFields ? parseUpdate(gathered.known) : { update: {} };
  if ("errors" in fields) errors.push(...fields.errors);
  else if (does === "set" && Object.keys(fields.update).length === 0) {
    errors.push({ path: "data.status", message: "is missing, and no other field is given" });
  }
  if ("errors" in head || "errors" in fields || errors.length > 0) {
    return rejected(raw, envelope, errors, "errors" in fields ? fields.words : fields.update);
  }
  return {
    kind: "event",
    event: toEvent(head.checked, fields.update, gathered.all),
    unknownFields: unknownFields(envelope),
  };
}

function readEnvelope(raw: RawMessage): EnvelopeResult {
  const encoding = raw.contentEncoding?.toLowerCase() ?? "";
  if (!["", "identity", "utf-8", "utf8"].includes(encoding)) {
    return {
      errors: [{ path: "contentEncoding", message: `${quoted(encoding)} is not accepted; send it plain` }],
    };
  }
  const declared = cloudEventForm(raw);
  if (declared === "batch") {
    return {
      errors: [{ path: "contentType", message: "batches are not accepted; send one event at a time" }],
    };
  }
  // A binary CloudEvent without data has no body (CloudEvents AMQP binding 3.1).
  const decoded = declared === "binary" && raw.body.byteLength === 0
    ? { value: undefined, repeated: [] }
    : decodeJson(raw.body);
  if ("error" in decoded) return { errors: [{ path: "body", message: decoded.error }] };
  const { value, repeated } = decoded;
  if (declared === "binary") return cloudEvent(declared, raw, decoded);
  if (!isObject(value)) {
    return { errors: [{ path: "body", message: `expected an object, got ${quoted(value)}` }] };
  }
  if (declared === "structured" || Object.hasOwn(value, "specversion")) {
    return cloudEvent("structured", raw, decoded);
  }
  return {
    envelope: {
      id: member(value, "id") ?? raw.messageId,
      source: member(value, "source"),
      type: member(value, "type") ?? raw.routingKey ?? undefined,
      time: member(value, "time"),
      permitId: member(value, "permitId"),
      revision: member(value, "revision"),
      payload: value,
      payloadPath: "",
      repeated,
    },
  };
}

/**
 * The update's fields lie in `data`, in the minimal form beside `permitId`. A field in both places must be equal.
 * `all` is what counts as the body when two messages are compared: `data` whole, unknown members included.
 */
function gatherFields(
  payload: unknown,
): { known: Record<string, unknown>; all: Record<string, unknown> } | { errors: FieldError[] } {
  if (payload === undefined || payload === null) return { known: {}, all: {} };
  const wrong = (value: unknown): { errors: FieldError[] } => ({
    errors: [{ path: "data", message: `expected an object, got ${quoted(value)}` }],
  });
  if (!isObject(payload)) return wrong(payload);
  const data = member(payload, "data") ?? {};
  if (!isObject(data)) return wrong(data);
  const beside = UPDATE_FIELDS.filter((name) => Object.hasOwn(payload, name));
  const errors = beside
    .filter((name) => Object.hasOwn(data, name) && canonicalJson(data[name]) !== canonicalJson(payload[name]))
    .map((name) => ({ path: `data.${name}`, message: `another value stands beside data` }));
  if (errors.length > 0) return { errors };
  const all = { ...Object.fromEntries(beside.map((name) => [name, payload[name]])), ...data };
  const known = UPDATE_FIELDS.filter((name) => Object.hasOwn(all, name)).map((
    name,
  ) => [name, member(all, name)]);
  return { known: Object.fromEntries(known), all };
}

function toEvent(
  envelope: CheckedEnvelope,
  update: PermitUpdate,
  data: Record<string, unknown>,
): PermitEvent {
  const { id, type, permitId, time, revision } = envelope;
  return {
    source: envelope.source ?? DEFAULT_SOURCE,
    id,
    type,
    permitId,
    time,
    revision,
    update,
    bodyHash: sha256(canonicalJson({ type, permitId, time, revision, data })),
  };
}

/** Somebody else's event: its shape is not ours to judge, so what cannot be read of it is left out. */
function stranger(type: string, envelope: Envelope): PermitEvent {
  const { id, source, permitId } = certain(envelope);
  return {
    source: source ?? DEFAULT_SOURCE,
    id,
    type,
    permitId: permitId ?? "",
    time: null,
    revision: null,
    update: {},
    bodyHash: sha256(canonicalJson({ type, payload: envelope.payload ?? null })),
  };
}

function rejected(
  raw: RawMessage,
  envelope: Envelope | null,
  errors: FieldError[],
  { status, tier }: SiteWords = {},
): Rejected {
  const fallback: Envelope = {
    id: raw.messageId,
    source: undefined,
    type: raw.routingKey,
    time: undefined,
    permitId: undefined,
    revision: undefined,
    payload: undefined,
    payloadPath: "",
    repeated: [],
  };
  return {
    kind: "rejected",
    ...certain(envelope ?? fallback),
    errors,
    words: { status, tier },
    unknownFields: envelope === null ? NO_UNKNOWN_FIELDS : unknownFields(envelope),
    bodyHash: sha256(raw.body.subarray(0, BODY_BYTES_MAX)),
  };
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
