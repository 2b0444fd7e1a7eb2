/** The log's line of one recorded event. */
import type { Verdict } from "../core/event.ts";
import type { Log } from "../log.ts";
import type { Delivery, Receipt } from "./delivery.ts";

/** The Permit Manager is refused: somebody must mend what it sends. */
const REFUSALS: readonly Verdict[] = ["rejected", "conflict"];
/** Of a reason; the event's row has all of them whole. */
const WHY_MAX = 300;

/**
 * One line: `warn` for a refusal, `info` for all else. To be told after the commit only. The body stays out, but
 * for the value that a reason quotes; id, type and permit are what the sender says they are.
 */
export function tellVerdict(log: Log, { channel, requestId }: Delivery, receipt: Receipt): void {
  const { seq, verdict, id, type, permitId, reasons, jobId } = receipt;
  const [first] = reasons;
  const why = first === undefined
    ? undefined
    : first.path === ""
    ? first.message
    : `${first.path}: ${first.message}`;
  const fields = {
    event: seq,
    permit: permitId ?? undefined,
    verdict,
    type: type ?? undefined,
    id: id ?? undefined,
    channel,
    job: jobId ?? undefined,
    requestId: requestId ?? undefined,
    why: why?.slice(0, WHY_MAX),
    moreReasons: reasons.length > 1 ? reasons.length - 1 : undefined,
  };
  if (REFUSALS.includes(verdict)) log.warn("event refused", fields);
  else log.info("event recorded", fields);
}
