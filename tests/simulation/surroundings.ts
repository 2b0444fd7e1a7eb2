/** What every run has: the built-in phases, a site's configuration, a folder in memory for its database. */
import { type Config, configSchema } from "../../src/config/schema.ts";
import type { PhaseSet } from "../../src/core/phase.ts";
import { builtInPhases } from "../core/plan_fixture.ts";

/** What a run is played on. */
export interface Surroundings {
  config: Config;
  phases: PhaseSet;
}

/** Memory, where there is such a folder: what is simulated is a process's crash, not a power cut. */
const IN_MEMORY = "/dev/shm";

let phases: Promise<PhaseSet> | null = null;

/** Gives a run its surroundings in a folder (below `parent`, where one is given), and takes that away after it. */
export async function within<T>(
  run: (surroundings: Surroundings) => Promise<T>,
  parent?: string,
): Promise<T> {
  phases ??= builtInPhases();
  const directory = await makeFolder(parent);
  try {
    return await run({ config: siteConfig(directory), phases: await phases });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** A folder for databases; whoever asked for it takes it away. */
export async function makeFolder(parent?: string): Promise<string> {
  const dir = parent === undefined ? await isThere(IN_MEMORY) : { dir: parent };
  return await Deno.makeTempDir({ prefix: "wps-simulation-", ...dir });
}

async function isThere(dir: string): Promise<{ dir?: string }> {
  const isFolder = await Deno.stat(dir).then(({ isDirectory }) => isDirectory, () => false);
  return isFolder ? { dir } : {};
}

/** A site that changes no default that matters. */
function siteConfig(directory: string): Config {
  return configSchema.parse({
    state: { directory: `${directory}/state` },
    keys: { directory: `${directory}/keys` },
    listen: { socket: `${directory}/wps.sock` },
    broker: { url: "amqp://in.the.simulation" },
    drivers: { lab: {} },
    accounts: { uidRange: "30000-39999" },
    tiers: { standard: { cpu: 1, memory: "1Gi" } },
  });
}
