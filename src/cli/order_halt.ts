/** An operator's order to halt or resume a permit, and what became of it. */
import type { EventReceipt } from "../api/schemas/events.ts";
import type { PermitDetail } from "../api/schemas/permits.ts";
import { segment } from "./client.ts";
import type { Context, ServiceOptions } from "./context.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { followJob } from "./follow.ts";
import { haltEndLines, isCut, orderLines } from "./render/halt.ts";
import { visible } from "./text.ts";

/** What the API takes. */
export interface HaltOrder {
  permit: string;
  order: "halt" | "resume";
  body: { reason?: string; force?: true };
  follow: boolean;
}

/**
 * Gives the order and says what follows from it; `follow` watches it. Ends with 1 when a halt that was followed has not
 * cut and stopped everything.
 */
export async function giveOrder(
  { permit, order, body, follow }: HaltOrder,
  common: ServiceOptions,
  context: Context,
): Promise<ExitCode> {
  const client = context.surroundings.connect(common);
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const path = `/permits/${segment(permit)}`;
  const receipt = await client.post<EventReceipt>(`${path}/${order}`, bytes, "application/json");
  if (!follow || receipt.jobId === null) {
    return context.show(common.json, receipt, (view) => orderLines(order, view, follow, context));
  }
  if (!common.json) context.lines(orderLines(order, visible(receipt), follow, context));
  for (let jobId = receipt.jobId;;) {
    const code = await followJob(client, jobId, common.json, context);
    const detail = await client.get<PermitDetail>(path);
    // Another event came meanwhile: its job carries the halt on.
    if (order === "halt" && detail.halted && detail.jobId !== null && detail.jobId !== jobId) {
      jobId = detail.jobId;
      continue;
    }
    if (order === "resume") return code;
    if (!common.json) context.lines(haltEndLines(visible(detail), context));
    return isCut(detail) ? code : EXIT.failed;
  }
}
