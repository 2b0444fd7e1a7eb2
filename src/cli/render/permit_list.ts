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
    permit.jobId === null ? NOTHING : `${permit.jobId}`,
    ago(permit.updatedAt, nowMs),
  ]);
  return table(style, ["PERMIT", "STATUS", "PHASE", "FLAGS", "JOB", "CHANGED"], rows);
}

function flags({ ingressOpen, stopRequested, halted, deletion }: PermitView): string {
  const words = [
    ingressOpen ? "ingress" : "",
    stopRequested ? "stop" : "",
    halted ? "halted" : "",
    deletion === "none" ? "" : deletion === "done" ? "deleted" : "deletion",
  ].filter((word) => word !== "");
  return words.length === 0 ? NOTHING : words.join(",");
}
