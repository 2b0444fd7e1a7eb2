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

/** Gives a run its surroundings, and takes its folder away after it. */
export async function within<T>(run: (surroundings: Surroundings) => Promise<T>): Promise<T> {
  phases ??= builtInPhases();
  const directory = await Deno.makeTempDir({ prefix: "wps-simulation-", ...await isThere(IN_MEMORY) });
  try {
    return await run({ config: siteConfig(directory), phases: await phases });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
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
