/** The built-in phases with a site's files beside them. */
import { disk, type FileReader } from "../../src/config/disk.ts";
import { BUILT_IN_PHASES, loadPhases, type PhaseResult } from "../../src/phases/load.ts";
import type { PhaseSet } from "../../src/core/phase.ts";
import { problemLine } from "../../src/config/problem.ts";
import { memoryFiles } from "../config/memory_files.ts";

/** Where the tests pretend that the site keeps its phases. */
export const SITE = "/site";

/** Loads the built-in phases and these files of a site, by name. */
export function loadSite(files: Readonly<Record<string, string>>): Promise<PhaseResult> {
  const memory = memoryFiles(
    Object.fromEntries(Object.entries(files).map(([name, text]) => [`${SITE}/${name}`, text])),
  );
  const either: FileReader = {
    list: (directory) => (directory === SITE ? memory : disk).list(directory),
    read: (path) => (path.startsWith(`${SITE}/`) ? memory : disk).read(path),
  };
  return loadPhases({ builtInDirectory: BUILT_IN_PHASES, siteDirectory: SITE, files: either });
}

/** The built-in phases alone. */
export async function loadBuiltIn(): Promise<PhaseSet> {
  return expectPhases(
    await loadPhases({ builtInDirectory: BUILT_IN_PHASES, siteDirectory: null, files: disk }),
  );
}

/** The set, or a failure that lists the problems. */
export function expectPhases(result: PhaseResult): PhaseSet {
  if (result.phases === null) throw new Error(result.problems.map(problemLine).join("\n"));
  return result.phases;
}
