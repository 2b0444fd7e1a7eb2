/** What a rule found wrong, before it has a place in a file. */
import type { Complaint } from "../config/document.ts";

/** A complaint; `path` is relative to the phase file, e.g. `["workspaces", 0, "network"]`. */
export type Finding = Complaint;

/** A finding with the paths of a nested part put below it. */
export function below(path: PropertyKey[], findings: Finding[]): Finding[] {
  return findings.map((finding) => ({ ...finding, path: [...path, ...finding.path] }));
}
