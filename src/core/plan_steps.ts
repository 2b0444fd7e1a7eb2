/**
 * The single steps of a plan, one constructor each, so that target, why and conditions are said in one place. Those
 * that concern data: plan_volume_steps.ts.
 */
import { isGated } from "./isolation.ts";
import { MEMBERS_MAX } from "./member.ts";
import type { ObservedWorkspace, Seen } from "./observed.ts";
import type { ApplyStep, AwaitStep, Condition, LaterStep, Step, StepKind, WaitKind } from "./step.ts";
import type { DesiredWorkspace } from "./workspace.ts";

/** A step before its wave is known. */
export type StepDraft =
  | Omit<ApplyStep, "wave" | "id">
  | Omit<AwaitStep, "wave" | "id">
  | Omit<LaterStep, "wave" | "id">;

/** Gives each non-empty wave its number and each step its id. */
export function numberWaves(waves: StepDraft[][]): Step[] {
  return waves.filter((wave) => wave.length > 0)
    .flatMap((wave, index) =>
      wave.map((draft): Step => ({ ...draft, id: `${draft.kind} ${draft.target}`, wave: index + 1 }))
    );
}

/** Deny both ways. */
export function cutStep(workspace: ObservedWorkspace, why: string): StepDraft {
  const after: Condition[] = [{ is: "network-shut", workspaces: [workspace.key] }];
  return {
    do: "apply",
    kind: "cut-network",
    target: workspace.key,
    why,
    before: [],
    after,
    action: { kind: "cut-network", workspace },
  };
}

/**
 * Power off; its network has been seen to be cut. `isOpen`: it need not be, because it is off already, or nothing
 * shuts its network: something foreign keeps it open, or the platform refuses the cut.
 */
export function stopStep(workspace: ObservedWorkspace, why: string, isOpen: boolean): StepDraft {
  const before: Condition[] = isOpen ? [] : [{ is: "network-shut", workspaces: [workspace.key] }];
  const after: Condition[] = [{ is: "instances-gone", workspaces: [workspace.key] }];
  return {
    do: "apply",
    kind: "stop",
    target: workspace.key,
    why,
    before,
    after,
    action: { kind: "stop", workspace },
  };
}

/** A wait; what it waits for is in `after`. */
export function awaitStep(wait: WaitKind, target: string, why: string, after: Condition[]): StepDraft {
  return { do: "await", kind: `await-${wait}`, target, why, before: [], after, wait };
}

/** A step to be planned once what it acts on exists. */
export function laterStep(
  kind: StepKind,
  target: string,
  why: string,
  before: Condition[],
  after: Condition[],
): StepDraft {
  return { do: "later", kind, target, why, before, after };
}

/** Remove compute, service, secret and policy. */
export function removeStep(workspace: ObservedWorkspace, why: string): StepDraft {
  const workspaces = [workspace.key];
  return {
    do: "apply",
    kind: "remove-workspace",
    target: workspace.key,
    why,
    before: [{ is: "instances-gone", workspaces }],
    after: [{ is: "workspaces-gone", workspaces }],
    action: { kind: "remove-workspace", workspace },
  };
}

/** The permit's namespace with its guards. */
export function scopeStep(fsGroup: number, seen: Seen, why: string): StepDraft {
  const action = { kind: "ensure-scope", fsGroup, members: MEMBERS_MAX, seen } as const;
  return {
    do: "apply",
    kind: action.kind,
    target: "permit",
    why,
    before: [],
    after: [{ is: "scope-intact" }],
    action,
  };
}

/** Secret and Service. */
export function identityStep(
  workspace: DesiredWorkspace,
  existing: ObservedWorkspace | undefined,
  rotate: boolean,
  why: string,
): StepDraft {
  const seen = existing?.identity ?? null;
  const action = { kind: "ensure-identity", workspace, rotate, seen } as const;
  return { do: "apply", kind: action.kind, target: workspace.key, why, before: [], after: [], action };
}

/** The barrier of invariant 2 as a condition; none where no workspace is in the way. */
export function barrierOf(workspaces: string[]): Condition[] {
  return workspaces.length === 0 ? [] : [{ is: "instances-gone", workspaces }];
}

/** Compute on. `before` is what the runner asserts on its observation: the barrier of invariant 2. */
export function startStep(
  workspace: DesiredWorkspace,
  seen: Seen,
  barrier: string[],
  why: string,
): StepDraft {
  const before: Condition[] = [
    { is: "network-shut", workspaces: [workspace.key] },
    ...barrierOf(barrier),
    { is: "nothing-foreign" },
    ...(isGated(workspace) ? [{ is: "canaries-fresh" } as const] : []),
  ];
  const after: Condition[] = [{ is: "ready", workspace: workspace.key }];
  return {
    do: "apply",
    kind: "start",
    target: workspace.key,
    why,
    before,
    after,
    action: { kind: "start", workspace, seen },
  };
}

/** Remove a never-ready pod of an old template. */
export function replaceStep(workspace: ObservedWorkspace, instanceUid: string): StepDraft {
  const why = "its pod never became ready and belongs to an old template";
  const action = { kind: "replace-instance", workspace, instanceUid } as const;
  return { do: "apply", kind: action.kind, target: workspace.key, why, before: [], after: [], action };
}

/** What the canaries are asked for; a step's target. */
export type Asking = "before-start" | "after-gate";

/** Why the canaries are asked. */
export const ASK_WHY: Record<Asking, string> = {
  "before-start": "data comes near only where a leak would show: against addresses that are alive",
  "after-gate": "what a gate failed to reach must still be alive",
};

/** The control pod asks the canaries. `after`: see {@link Action}. */
export function askStep(target: Asking, after: string[]): StepDraft {
  const action = { kind: "ask-canaries", after } as const;
  return { do: "apply", kind: action.kind, target, why: ASK_WHY[target], before: [], after: [], action };
}

/** Isolation shown for one instance. */
export function proveStep(workspace: DesiredWorkspace, instanceUid: string): StepDraft {
  const before: Condition[] = [{ is: "ready", workspace: workspace.key }, {
    is: "network-shut",
    workspaces: [workspace.key],
  }, { is: "canaries-confirmed", workspace: workspace.key }];
  const action = { kind: "prove-isolation", workspace, instanceUid } as const;
  return { do: "apply", kind: action.kind, target: workspace.key, why: PROVE_WHY, before, after: [], action };
}

/** Rules and inbound, for one instance, last of all. */
export function openStep(workspace: DesiredWorkspace, instanceUid: string, seen: Seen): StepDraft {
  const before: Condition[] = [{ is: "ready", workspace: workspace.key }, { is: "nothing-foreign" }];
  const after: Condition[] = [{ is: "reachable", workspace: workspace.key }];
  const action = { kind: "open-network", workspace, instanceUid, seen } as const;
  return {
    do: "apply",
    kind: action.kind,
    target: workspace.key,
    why: openWhy(workspace),
    before,
    after,
    action,
  };
}

/** The namespace itself. */
export function destroyScopeStep(seen: Seen): StepDraft {
  return {
    do: "apply",
    kind: "destroy-scope",
    target: "permit",
    why: "the permit is deleted and nothing else is left",
    before: [],
    after: [{ is: "scope-gone" }],
    action: { kind: "destroy-scope", seen },
  };
}

/** Why isolation is proven. */
export const PROVE_WHY = "sensitive data needs shown isolation";

/** Why a network is opened, by posture. */
export function openWhy(workspace: DesiredWorkspace): string {
  return {
    isolated: "the gateway may reach it; nothing leaves",
    proxied: "the gateway may reach it; only the proxy is reachable from it",
    open: "the gateway may reach it; it has no sensitive data",
    "inbound-allowlist": "its holder may reach it from the allowed addresses; nothing leaves",
  }[workspace.posture];
}
