/** Everything about one permit, as `wps status` shows it. */
import type { PermitDetail } from "../api/schemas/permits.ts";
import { segment } from "./client.ts";
import type { Context, ServiceOptions } from "./context.ts";
import type { ExitCode } from "./exit.ts";
import { permitLines } from "./render/status.ts";

/** Asks the service, or the file of a stopped one, and prints. Failures leave as CliError. */
export async function showStatus(
  permit: string,
  common: ServiceOptions,
  context: Context,
): Promise<ExitCode> {
  const client = context.surroundings.connect(common);
  const detail = await client.get<PermitDetail>(`/permits/${segment(permit)}`);
  return context.show(common.json, detail, (view) => permitLines(view, context));
}
