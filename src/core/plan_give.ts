/** What the stages that give work with, and the questions that several of them ask. */
import type { Desired } from "./desired.ts";
import type { Observed, ObservedVolume, ObservedWorkspace } from "./observed.ts";
import type { PlanInput } from "./plan_input.ts";
import { type DesiredWorkspace, specHash } from "./workspace.ts";

/** What `planGive` needs beside the plan's input. */
export interface GiveInput {
  input: PlanInput;
  desired: Extract<Desired, { mode: "apply" }>;
  /** Workspaces that are being stopped by the waves before. */
  leaving: ReadonlySet<string>;
  /** Workspaces whose network alone is being cut by the waves before. */
  shutting: ReadonlySet<string>;
  /** Consolidations that are being ended by the waves before, by key. */
  ending: ReadonlySet<string>;
  /** An obstacle stands: nothing is given. */
  blocked: boolean;
  /** No waves stand before these. */
  clear: boolean;
}

/** The workspace as it was seen. */
export function findWorkspace(give: GiveInput, key: string): ObservedWorkspace | undefined {
  return give.input.observed.workspaces.find((workspace) => workspace.key === key);
}

/** The volume as it was seen. */
export function findVolume(observed: Observed, key: string): ObservedVolume | undefined {
  return observed.volumes.find((volume) => volume.key === key);
}

/** Whether its compute object is to be written: absent, off, or of another network, mounts or account. */
export function needsStart(workspace: DesiredWorkspace, give: GiveInput): boolean {
  if (workspace.power !== "running") return false;
  const existing = findWorkspace(give, workspace.key);
  if (existing === undefined || give.leaving.has(workspace.key)) return true;
  return existing.power !== "running" || existing.specHash !== specHash(workspace);
}
