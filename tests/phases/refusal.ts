/** Phase files that must be refused, and how a table of them is run. */
import assert from "node:assert/strict";
import { loadSite, SITE } from "./site.ts";

/** A file that is refused: where exactly, in which words, for which invariant. */
export interface Refusal {
  reason: string;
  file?: string;
  text: string;
  at: [line: number | null, column: number | null];
  key: string;
  says: RegExp;
  invariant?: number;
}

/** Lines of a file from line 1. */
export function lines(...text: string[]): string {
  return `${text.join("\n")}\n`;
}

/** A status of a site's own; `body` begins on line 3. */
export function status(...body: string[]): string {
  return lines("status: SITE_STATUS", "title: A status of the site", ...body);
}

/** A status with one workspace of kind `desk`: its keys begin on line 4 in column 5, its mounts on line 9. */
export function desk(
  network: string,
  mounts: string[],
  role = "each researcher",
  more: string[] = [],
): string {
  return status(
    "workspaces:",
    `  - kind: desk`,
    `    for: ${role}`,
    `    network: ${network}`,
    ...(more.length === 0 ? ["    power: running"] : more),
    "    mounts:",
    ...mounts.map((mount) => `      - ${mount}`),
  );
}

/** A researcher's home as every desk has it. */
export const HOME = '{ volume: home, path: "/home/{username}", mode: rw }';
/** The home of staff. */
export const STAFF_HOME = '{ volume: staff-home, path: "/home/{username}", mode: rw }';

/** One step per case: each must be refused with exactly this place, key, wording and invariant. */
export async function expectRefusals(test: Deno.TestContext, cases: Refusal[]): Promise<void> {
  for (const { reason, file = "site.yaml", text, at, key, says, invariant } of cases) {
    await test.step(reason, async () => {
      const result = await loadSite({ [file]: text });
      assert.equal(result.phases, null);
      const problem = result.problems.find((one) => one.key === key && says.test(one.message));
      assert.ok(problem !== undefined, JSON.stringify(result.problems, null, 1));
      if (at[0] !== null) {
        assert.equal(problem.file, `${SITE}/${file}`);
        assert.deepEqual([problem.line, problem.column], at);
      }
      assert.equal(problem.invariant, invariant ?? null);
    });
  }
}
