/** What the planner must know of the site, taken from the configuration. */

/** Resources of a workspace by tier; sizes of volumes by volume name. Kubernetes quantities. */
export interface Tier {
  cpu: string;
  memory: string;
  sizes: Record<string, string>;
}

/** Deadlines of the waits, in milliseconds. */
export interface WaitLimits {
  cutMs: number;
  goneMs: number;
  readyMs: number;
  canariesMs: number;
  consolidatedMs: number;
  volumeMs: number;
  membersMs: number;
}

/** The planner's view of a site. */
export interface Site {
  tiers: Record<string, Tier>;
  defaultTier: string;
  waits: WaitLimits;
}
