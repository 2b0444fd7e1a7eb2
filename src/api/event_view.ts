/** Recorded events as callers see them. */
import { toInstant } from "../core/clock.ts";
import type { EventRow } from "../store/events.ts";
import type { EventView } from "./schemas/events.ts";

/** One event without its body. */
export function eventView(row: EventRow): EventView {
  return {
    seq: row.seq,
    source: row.source,
    id: row.id,
    type: row.type,
    permitId: row.permitId,
    time: row.time,
    revision: row.revision,
    verdict: row.verdict,
    reasons: row.reasons,
    unknownFields: row.unknownFields.paths,
    unknownFieldCount: row.unknownFields.count,
    update: row.update,
    channel: row.channel,
    receivedAt: toInstant(row.receivedAtMs),
  };
}
