/** Recorded events, and the receipt of a new one. */
import type { EventDetail, EventReceipt, EventView } from "../../api/schemas/events.ts";
import type { Context } from "../context.ts";
import { fields, table } from "../table.ts";
import { counted, jsonText, visibleText } from "../text.ts";
import { instantText } from "../time.ts";
import { reasonText } from "./reason.ts";
import { fullUpdateText, updateText } from "./update.ts";
import { NOTHING, verdictWord } from "./words.ts";

/** A list of events. */
export function eventListLines(events: EventView[], { style }: Context): string[] {
  if (events.length === 0) return ["No events."];
  const rows = events.map((event) => [
    `${event.seq}`,
    instantText(event.receivedAt),
    event.permitId ?? NOTHING,
    event.type ?? NOTHING,
    verdictWord(style, event.verdict),
    event.channel,
    updateText(event),
    reasonText(event),
  ]);
  return table(style, ["EVENT", "RECEIVED", "PERMIT", "TYPE", "VERDICT", "CAME BY", "UPDATE", "WHY"], rows);
}

/** One event with its body, which is given as it came: its line feeds are its own. */
export function eventLines(event: EventDetail, body: string | null, { style }: Context): string[] {
  const facts: [string, string][] = [
    ["verdict", verdictWord(style, event.verdict)],
    ["type", event.type ?? NOTHING],
    ["permit", event.permitId ?? NOTHING],
    ["update", fullUpdateText(event)],
    ["id", event.id ?? "none was given"],
    ["source", event.source ?? NOTHING],
    ["time", event.time ?? NOTHING],
    ["revision", event.revision === null ? NOTHING : `${event.revision}`],
    ["received", `${instantText(event.receivedAt)} by ${event.channel}`],
  ];
  const reasons = event.reasons.map(({ path, message }) => `  ${path === "" ? "" : `${path}: `}${message}`);
  return [
    style.bold(`event ${event.seq}`),
    ...fields(facts, "  "),
    ...(reasons.length === 0 ? [] : ["", style.bold("Why"), ...reasons]),
    ...(event.unknownFieldCount === 0
      ? []
      : ["", style.bold("Not known to WPS, and passed over"), ...unknownLines(event)]),
    "",
    `${style.bold("Body")} ${style.dim(`(${event.bodyBytes} bytes)`)}`,
    ...(event.verdict === "rejected" ? asItCame(body) : bodyLines(body)),
  ];
}

/** One line for each that is named. */
function unknownLines({ unknownFields, unknownFieldCount }: EventReceipt | EventView): string[] {
  const more = unknownFieldCount - unknownFields.length;
  return [...unknownFields, ...(more > 0 ? [`and ${more} more`] : [])].map((line) => `  ${line}`);
}

/** JSON laid out again, because what arrives is mostly one line; anything else as it came. */
function bodyLines(body: string | null): string[] {
  try {
    return jsonText(JSON.parse(body ?? ""), 2).split("\n").map((line) => `  ${line}`);
  } catch {
    return asItCame(body);
  }
}

/** Laying out again would drop what makes an event ambiguous: of a member given twice one would be left. */
function asItCame(body: string | null): string[] {
  if (body === null) return ["  not UTF-8 text"];
  return visibleText(body).split("\n").map((line) => `  ${line}`);
}

/** What became of an event that was sent. */
export function receiptLines(receipt: EventReceipt, { style }: Context): string[] {
  const { verdict, seq, permitId, reason, jobId } = receipt;
  const subject = permitId === null ? "" : ` for ${permitId}`;
  const why = reason === null ? "" : `: ${reason}`;
  return [
    `event ${seq}${subject}: ${verdictWord(style, verdict)}${why}`,
    ...(receipt.unknownFieldCount === 0
      ? []
      : [`${counted(receipt.unknownFieldCount, "field")} not known to WPS, and passed over:`]),
    ...unknownLines(receipt),
    ...(jobId === null
      ? []
      : [`job ${jobId} carries it out; follow it with wps jobs show ${jobId} --follow`]),
  ];
}
