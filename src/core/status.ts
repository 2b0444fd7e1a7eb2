/** The public word for a permit and a workspace (DESIGN 10). */

/** Exactly these. */
export const STATUSES = [
  "NONE",
  "PENDING",
  "PROVISIONING",
  "RUNNING",
  "STOPPING",
  "STOPPED",
  "DESTROYING",
  "DESTROYED",
  "ARCHIVED",
  "HALTED",
  "FAILED",
] as const;
/** One of {@link STATUSES}. */
export type Status = typeof STATUSES[number];
