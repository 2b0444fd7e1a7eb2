/**
 * Whether the phases still describe every permit. They are read at the start only, and nothing runs under a status
 * without a phase: a lost file would stop people's work without a word. So the service does not start over such a gap.
 */
import { Fault } from "../core/fault.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Reader } from "../store/db.ts";
import { statusesInUse } from "../store/permits.ts";

/** Permits have statuses that no phase file describes; a person must change files, starting again changes nothing. */
export class PhaseGap extends Fault {}

/** Throws a {@link PhaseGap} that names each such status; `siteDirectory` null: the site has no phases of its own. */
export async function refusePhaseGap(
  db: Reader,
  phases: PhaseSet,
  siteDirectory: string | null,
): Promise<void> {
  const missing = (await statusesInUse(db)).filter(({ status }) => !phases.statuses.has(status));
  if (missing.length === 0) return;
  const named = missing.map(({ status, permits }) =>
    `${status} (${permits} ${permits === 1 ? "permit" : "permits"})`
  );
  const where = siteDirectory === null
    ? "phases.directory names no folder, so there are the built-in ones only"
    : `the site's are read from ${siteDirectory}`;
  const [restore, back] = siteDirectory === null
    ? ["Name the folder that has it in phases.directory", "name it"]
    : [`Restore its phase file in ${siteDirectory}`, "restore it"];
  throw new PhaseGap(
    "stalled",
    "invalid",
    `Cannot start: no phase file describes status ${named.join(", ")}; ${where}`,
    {
      advice:
        `${restore}, run wps phases check, and start again. To do without this status ${back} all the same, ` +
        "start, and let events move its permits to another one first",
    },
  );
}
