/**
 * What is known of a wish that cannot be worked out: a status without a phase file, a person without an account, a volume
 * that no rule describes. Nothing is given then, but taking away must not wait for a person to mend it (invariant 6).
 */
import { desire, type Desired, type DesireInput } from "./desired.ts";
import { Fault, toFault } from "./fault.ts";
import { type NamedWorkspace, namedWorkspaces } from "./named.ts";

/** See the file's comment. */
export interface Doubt {
  mode: "doubt";
  /** Why; for the person who must mend it. */
  fault: Fault;
  /** What the phase names all the same, by key; empty where there is no phase: nothing says that anything may run. */
  named: ReadonlyMap<string, NamedWorkspace>;
}

/** What should be, or what is known of it. Throws nothing. */
export function judge(input: DesireInput): Exclude<Desired, { mode: "unknown" }> | Doubt {
  const { permit, phases } = input;
  try {
    const desired = desire(input);
    if (desired.mode !== "unknown") return desired;
    return { mode: "doubt", fault: unknownStatus(permit.permitId, desired.status), named: new Map() };
  } catch (thrown) {
    const phase = permit.status === null ? undefined : phases.statuses.get(permit.status);
    const { named } = namedWorkspaces(permit, phase, phases);
    return {
      mode: "doubt",
      fault: toFault(thrown),
      named: new Map(named.map((workspace) => [workspace.key, workspace])),
    };
  }
}

function unknownStatus(permitId: string, status: string): Fault {
  return new Fault(
    "stalled",
    "invalid",
    `Cannot plan ${permitId}: no phase file describes status ${status}`,
    {
      advice:
        `Restore the phase file, run wps phases check, restart the service, then wps drift ${permitId} --repair`,
      target: "permit",
    },
  );
}
