/** What other parts take out of the configuration. */
import type { Site } from "../core/site.ts";
import { didYouMean } from "./nearest.ts";
import type { Problem } from "./problem.ts";
import type { Config } from "./schema.ts";

/** The planner's view of the site. */
export function siteOf(config: Config): Site {
  return { tiers: config.tiers, defaultTier: config.defaultTier, waits: config.runner.waits };
}

/** What the phases name, as far as the configuration must agree with it. */
export interface PhaseNames {
  /** Workspace kinds, airlock included. */
  kinds: readonly string[];
  volumes: readonly string[];
  /** Whether any phase is `proxied`. */
  usesProxy: boolean;
}

/** Problems between configuration and phases: a kind without an image, a size for a volume that does not exist, … */
export function disagreements(config: Config, names: PhaseNames, file: string): Problem[] {
  const found: Problem[] = [];
  const complain = (key: string, message: string): void => {
    found.push({ file, line: null, column: null, key, message, invariant: null });
  };
  for (const kind of names.kinds) {
    if (config.images[kind] === undefined) {
      complain(`images.${kind}`, "missing: the phases have such a workspace");
    }
  }
  for (const [tier, { sizes }] of Object.entries(config.tiers)) {
    for (const volume of Object.keys(sizes).filter((name) => !names.volumes.includes(name))) {
      const message =
        `there is no volume "${volume}"; expected cpu, memory, or one of ${names.volumes.join(", ")}` +
        didYouMean(volume, names.volumes);
      complain(`tiers.${tier}.${volume}`, message);
    }
  }
  const classes = Object.keys(config.drivers.kubernetes?.storageClasses ?? {});
  for (const volume of classes.filter((name) => name !== "default" && !names.volumes.includes(name))) {
    const message =
      `there is no volume "${volume}"; expected default, or one of ${names.volumes.join(", ")}` +
      didYouMean(volume, names.volumes);
    complain(`drivers.kubernetes.storageClasses.${volume}`, message);
  }
  if (names.usesProxy && config.network.proxy === null && config.drivers.kubernetes !== null) {
    complain("network.proxy", "missing: the phases have workspaces whose network is proxied");
  }
  return found;
}
