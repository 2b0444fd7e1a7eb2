/** CloudEvents 1.0 (spec sections 3.1, 3.2; JSON format; AMQP binding section 3; HTTP binding section 3). */
import type { FieldError } from "../core/event.ts";
import type { EnvelopeResult, RawMessage } from "./envelope.ts";
import { type Decoded, decodeJson, isObject, member } from "./json.ts";
import { quoted } from "./text.ts";

/** How a message carries a CloudEvent; null: it is none (a body with `specversion` is one all the same). */
export type CloudEventForm = "structured" | "binary" | "batch" | null;

const REQUIRED = ["id", "source", "type", "specversion"];
/** AMQP has both spellings ("_" where a JMS client may be the receiver), HTTP the third. */
const ATTRIBUTE = /^(?:cloudEvents[:_]|ce-)([a-z0-9]+)$/i;

/** Tells the form from content type and headers alone. */
export function cloudEventForm({ contentType, headers }: RawMessage): CloudEventForm {
  const type = contentType?.toLowerCase().split(";")[0]?.trim() ?? "";
  if (type.startsWith("application/cloudevents-batch")) return "batch";
  if (type.startsWith("application/cloudevents")) return "structured";
  return Object.keys(headers).some((name) => ATTRIBUTE.exec(name)?.[1]?.toLowerCase() === "specversion")
    ? "binary"
    : null;
}

/**
 * The envelope of a CloudEvent whose decoded body is `value`, in which members are `repeated`. The permit is
 * `data.permitId`, else the extension `permitid`, else `subject`; the revision is `data.revision`, else the extension
 * `revision`.
 */
export function cloudEvent(
  form: "structured" | "binary",
  raw: RawMessage,
  { value, repeated }: { value: unknown; repeated: readonly string[] },
): EnvelopeResult {
  const read = form === "binary"
    ? binaryAttributes(raw.headers)
    : { attributes: isObject(value) ? value : {} };
  if ("errors" in read) return read;
  const { attributes } = read;
  const errors: FieldError[] = REQUIRED.filter((name) => member(attributes, name) === undefined)
    .map((path) => ({ path, message: "is missing; CloudEvents requires it" }));
  const version = member(attributes, "specversion");
  if (version !== undefined && version !== "1.0") {
    errors.push({ path: "specversion", message: `expected "1.0", got ${quoted(version)}` });
  }
  const data = form === "binary" ? { value, repeated } : structuredData(attributes);
  if ("error" in data) errors.push({ path: "data", message: data.error });
  if (errors.length > 0 || "error" in data) return { errors };
  const payload = data.value;
  const inner = isObject(payload) ? payload : {};
  return {
    envelope: {
      id: member(attributes, "id"),
      source: member(attributes, "source"),
      type: member(attributes, "type"),
      time: member(attributes, "time") ?? member(inner, "time"),
      permitId: member(inner, "permitId") ?? member(attributes, "permitid") ?? member(attributes, "subject"),
      revision: member(inner, "revision") ?? wholeNumber(member(attributes, "revision")),
      payload,
      payloadPath: "data.",
      repeated: [
        ...(form === "structured" ? repeated : []),
        ...data.repeated.map((path) => `data.${path}`),
      ],
    },
  };
}

function structuredData(attributes: Record<string, unknown>): Decoded {
  const type = member(attributes, "datacontenttype");
  if (type !== undefined && !/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(String(type))) {
    return { error: `expected JSON, got ${quoted(type)}` };
  }
  const encoded = member(attributes, "data_base64");
  if (encoded === undefined) return { value: member(attributes, "data"), repeated: [] };
  if (typeof encoded !== "string") return { error: "data_base64 is not text" };
  try {
    return decodeJson(Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0)));
  } catch {
    return { error: "data_base64 is not base64" };
  }
}

function binaryAttributes(
  headers: Readonly<Record<string, unknown>>,
): { attributes: Record<string, unknown> } | { errors: FieldError[] } {
  const attributes = new Map<string, unknown>();
  for (const [header, value] of Object.entries(headers)) {
    const name = ATTRIBUTE.exec(header)?.[1]?.toLowerCase();
    if (name === undefined) continue;
    try {
      // HTTP header values are percent-encoded (HTTP binding 3.1.3.2), AMQP's are typed.
      const percent = header.toLowerCase().startsWith("ce-") && typeof value === "string";
      attributes.set(name, percent ? decodeURIComponent(value) : fromAmqp(value));
    } catch {
      return { errors: [{ path: name, message: `${quoted(value)} is not percent-encoded UTF-8` }] };
    }
  }
  return { attributes: Object.fromEntries(attributes) };
}

/** amqplib's form of an AMQP timestamp is `{ "!": "timestamp", value: seconds }`. */
function fromAmqp(value: unknown): unknown {
  if (!isObject(value) || value["!"] !== "timestamp") return value;
  const at = new Date(Number(value["value"]) * 1000);
  return Number.isNaN(at.getTime()) ? value : at.toISOString();
}

/** An extension attribute travels as text in headers. */
function wholeNumber(value: unknown): unknown {
  return typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
}
