/** The list of permits. */
import type { PermitView } from "../../api/schemas/permits.ts";
import type { Context } from "../context.ts";
import { table } from "../table.ts";
import { ago } from "../time.ts";
import { NOTHING, statusWord } from "./words.ts";

/** One line per permit. */
export function permitListLines(permits: PermitView[], { style, surroundings }: Context): string[] {
  if (permits.length === 0) return ["No permits."];
  const nowMs = surroundings.nowMs();
  const rows = permits.map((permit) => [
    permit.permitId,
    statusWord(style, permit.status),
    permit.phase ?? NOTHING,
    flags(permit),
    expiry(permit),
    permit.jobId === null ? NOTHING : `${permit.jobId}`,
    ago(permit.updatedAt, nowMs),
  ]);
  return table(style, ["PERMIT", "STATUS", "PHASE", "FLAGS", "EXPIRES", "JOB", "CHANGED"], rows);
}

/** A permit without a date is told as such: nothing ends it but an event. */
function expiry({ expiresAt, deletion }: PermitView): string {
  if (deletion === "done") return NOTHING;
  return expiresAt === null ? "no date" : expiresAt.slice(0, "2026-11-22".length);
}

function flags({ ingressOpen, stopRequested, halted, expired, deletion }: PermitView): string {
  const words = [
    ingressOpen ? "ingress" : "",
    stopRequested ? "stop" : "",
    halted ? "halted" : "",
    expired ? "expired" : "",
    deletion === "none" ? "" : deletion === "done" ? "deleted" : "deletion",
  ].filter((word) => word !== "");
  return words.length === 0 ? NOTHING : words.join(",");
}
