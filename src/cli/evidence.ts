/** The proofs of isolation, as `wps status --evidence` shows them. */
import type { EvidenceView } from "../api/schemas/evidence.ts";
import { segment } from "./client.ts";
import type { Context, ServiceOptions } from "./context.ts";
import type { ExitCode } from "./exit.ts";
import { listAll } from "./paging.ts";
import { evidenceLines } from "./render/evidence.ts";

/** Proofs of some hundred starts; the database keeps more. */
const PROOFS_MAX = 200;

/** Asks the service, or the file of a stopped one, and prints. Failures leave as CliError. */
export async function showEvidence(
  permit: string,
  common: ServiceOptions,
  context: Context,
): Promise<ExitCode> {
  const client = context.surroundings.connect(common);
  const proofs = await listAll<EvidenceView>(
    client,
    `/workspaces/${segment(permit)}/evidence`,
    {},
    PROOFS_MAX,
  );
  if (proofs.hasMore) context.note(`only the newest ${proofs.items.length} proofs are shown`);
  return context.show(common.json, proofs.items, (items) => evidenceLines(permit, items, context));
}
