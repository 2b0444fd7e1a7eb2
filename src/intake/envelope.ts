/** A message as it comes, and the envelope that each of its forms has (DESIGN 3). */
import { z } from "zod";
import type { FieldError } from "../core/event.ts";
import { instant, sentence, toFieldErrors } from "./fields.ts";
import { quoted, textFault } from "./text.ts";

/** AMQP's short string, which also carries an id as messageId. */
const ID_MAX = 255;
/** Permit ids are arbitrary text; this many UTF-16 units fit a URL, a label's annotation and a log line. */
const PERMIT_ID_MAX = 256;
/** Of a type: an AMQP routing key has at most 255 bytes. */
const TYPE_MAX = 128;

/** A message as it came, before anything in it is believed. */
export interface RawMessage {
  body: Uint8Array;
  contentType: string | null;
  contentEncoding: string | null;
  /** AMQP headers as decoded, or HTTP headers. */
  headers: Readonly<Record<string, unknown>>;
  /** AMQP; null over HTTP. */
  routingKey: string | null;
  messageId: string | null;
}

/** What every form gives, unchecked: the envelope's values, and the object that the fields lie in. */
export interface Envelope {
  id: unknown;
  source: unknown;
  type: unknown;
  time: unknown;
  permitId: unknown;
  revision: unknown;
  /** The message's own object in the canonical form, CloudEvents' data else; undefined: it has none. */
  payload: unknown;
  /** What stands before a field of the payload in a path: nothing in the canonical form, "data." in a CloudEvent. */
  payloadPath: "" | "data.";
  /** Members that the message gives more than once, by path. */
  repeated: readonly string[];
}

/** Envelope or reasons, from one of the forms. */
export type EnvelopeResult = { envelope: Envelope } | { errors: FieldError[] };

const boundedText = (max: number): z.ZodString =>
  z.string().check(({ value, issues }) => {
    const message = textFault(value, max);
    if (message !== null) {
      issues.push({ code: "custom", message: `${quoted(value)} ${message}`, input: value });
    }
  });

const fields = z.object({
  id: boundedText(ID_MAX).nullish(),
  source: boundedText(ID_MAX).nullish(),
  type: boundedText(TYPE_MAX),
  time: instant.nullish(),
  permitId: boundedText(PERMIT_ID_MAX),
  revision: z.int().min(0).nullish(),
});

/** An envelope whose values are right; `time` in UTC. */
export interface CheckedEnvelope {
  id: string | null;
  source: string | null;
  type: string;
  time: string | null;
  permitId: string;
  revision: number | null;
}

/** The checked envelope, or a reason per field. */
export function checkEnvelope(envelope: Envelope): { checked: CheckedEnvelope } | { errors: FieldError[] } {
  const parsed = fields.safeParse(envelope, { error: sentence });
  if (!parsed.success) return { errors: toFieldErrors(parsed.error, []) };
  const { id = null, source = null, type, time = null, permitId, revision = null } = parsed.data;
  return { checked: { id, source, type, time, permitId, revision } };
}

/** What can be read of an envelope that may be wrong elsewhere; null: not this one. */
export function readable(
  envelope: Envelope,
): { id: string | null; source: string | null; type: string | null; permitId: string | null } {
  const { id, source, type, permitId } = fields.shape;
  return {
    id: id.safeParse(envelope.id).data ?? null,
    source: source.safeParse(envelope.source).data ?? null,
    type: type.safeParse(envelope.type).data ?? null,
    permitId: permitId.safeParse(envelope.permitId).data ?? null,
  };
}
