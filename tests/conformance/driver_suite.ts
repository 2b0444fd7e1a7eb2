/**
 * The driver conformance suite (DESIGN 12): every behaviour that the planner relies on is a case, and the lab and
 * the real cluster pass the same ones, so that the lab cannot drift from reality.
 */
import type { Backend } from "./backend.ts";
import type { DriverCase } from "./case.ts";
import { lackOf, type Lacks, reportLeftOutCases } from "./left_out.ts";
import { Trial } from "./trial.ts";
import { FOREIGN_CASES } from "./cases/foreign.ts";
import { CUT_CASES } from "./cases/network_cut.ts";
import { BREACH_CASES } from "./cases/network_breach.ts";
import { OPEN_CASES } from "./cases/network_open.ts";
import { PERMIT_CASES } from "./cases/permits.ts";
import { SCOPE_CASES } from "./cases/scope.ts";
import { TASK_CASES } from "./cases/tasks.ts";
import { VOLUME_CASES } from "./cases/volumes.ts";
import { VOLUME_END_CASES } from "./cases/volume_end.ts";
import { WORKSPACE_CASES } from "./cases/workspaces.ts";
import { WORKSPACE_END_CASES } from "./cases/workspace_end.ts";

/** All cases, in the order of a workspace's life. */
export const DRIVER_CASES: readonly DriverCase[] = [
  ...SCOPE_CASES,
  ...VOLUME_CASES,
  ...VOLUME_END_CASES,
  ...WORKSPACE_CASES,
  ...WORKSPACE_END_CASES,
  ...OPEN_CASES,
  ...CUT_CASES,
  ...BREACH_CASES,
  ...TASK_CASES,
  ...FOREIGN_CASES,
  ...PERMIT_CASES,
];

/**
 * Registers one test per case, each with a backend and a permit of its own. `lacks`: the optional verbs that this
 * platform does not offer; their cases are registered as ignored, and told by name with the reason.
 */
export function driverSuite(
  name: string,
  makeBackend: () => Promise<Backend>,
  lacks: Lacks = {},
): void {
  reportLeftOutCases(name, DRIVER_CASES, lacks);
  for (const given of DRIVER_CASES) {
    const { name: behaviour, run } = given;
    Deno.test({
      name: `${name}: ${behaviour}`,
      ignore: lackOf(given, lacks) !== undefined,
      fn: async () => {
        const backend = await makeBackend();
        try {
          await run(new Trial(backend, backend.permitId(behaviour)));
        } finally {
          await backend.close();
        }
      },
    });
  }
}
