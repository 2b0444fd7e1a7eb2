/** Which workspaces a wish names, for whom and powered how, before anything else about them is worked out (DESIGN 4). */
import { membersIn, type Role, type RoleMember } from "./member.ts";
import type { Permit } from "./permit.ts";
import type { PhaseSet, StatusPhase, WorkspaceRule } from "./phase.ts";

/** One workspace of the wish. */
export interface NamedWorkspace {
  key: string;
  rule: WorkspaceRule;
  member: RoleMember;
  power: "running" | "stopped";
}

/** The workspaces, and the roles whose person nobody has named yet. Nothing of this can fail. */
export function namedWorkspaces(
  permit: Permit,
  phase: StatusPhase | undefined,
  phases: PhaseSet,
): { named: NamedWorkspace[]; missing: Role[] } {
  const rules = [...(phase?.workspaces ?? []), ...ingressRules(permit, phases)];
  const stopped = permit.stopRequested ? stoppedKinds(phases) : new Set<string>();
  const missing = new Set<Role>();
  const named = rules.flatMap((rule) => {
    const members = membersIn(permit.members, rule.role);
    if (members.length === 0 && rule.power === "running") missing.add(rule.role);
    const power = stopped.has(rule.kind) ? "stopped" as const : rule.power;
    return members.map((member) => ({ key: `${rule.kind}/${member.owner}`, rule, member, power }));
  });
  return { named, missing: [...missing] };
}

function ingressRules(permit: Permit, phases: PhaseSet): WorkspaceRule[] {
  if (!permit.ingressOpen) return [];
  return [...phases.events.values()].filter((event) => event.effect === "open-ingress")
    .flatMap((event) => event.workspaces);
}

function stoppedKinds(phases: PhaseSet): Set<string> {
  return new Set(
    [...phases.events.values()].filter((event) => event.effect === "stop").flatMap((event) => event.kinds),
  );
}
