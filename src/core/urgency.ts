/** Which job a new wish needs, and how urgently: cutting access comes before giving it (DESIGN 6). */
import { isExpired } from "./expiry.ts";
import { type JobKind } from "./job.ts";
import { type Account, membersIn } from "./member.ts";
import { accountKey, type Permit } from "./permit.ts";
import type { PhaseSet, StatusPhase, WorkspaceRule } from "./phase.ts";

/** One running workspace that the wish gives: everything must be equal but the two lists, which may only shrink. */
interface Grant {
  /** Of the phase set, so that equal means the same object. */
  rule: WorkspaceRule;
  username: string;
  account: Account | null;
  /** Whose volumes it mounts beside its own. */
  owners: string;
  allowedCidrs: ReadonlySet<string>;
  sshPublicKeys: ReadonlySet<string>;
}

/**
 * The kind of job that takes a permit from what it should have been to what it should be. `halt` and `delete`
 * as long as they stand, `halt` also for one whose time is over at `nowMs` (epoch milliseconds); `stop` when nothing
 * runs any more or everything that runs, ran so before: then the job only takes away and may overtake others;
 * `reconcile` when anything is given, and for a permit's first event.
 */
export function jobFor(before: Permit, after: Permit, phases: PhaseSet, nowMs: number): JobKind {
  if (after.halted && !before.halted) return "halt";
  if (after.deletion !== "none") return "delete";
  if (after.halted || isExpired(after, nowMs)) return "halt";
  const consolidates = (statusPhase(after, phases)?.consolidatesInto ?? null) !== null;
  if (consolidates && after.status !== before.status) return "reconcile";
  const now = grants(after, phases, nowMs);
  // A permit that no event has named before had nothing that could be taken.
  if (now.size === 0) return before.version === 0 ? "reconcile" : "stop";
  const earlier = grants(before, phases, nowMs);
  const takesAway = !same(earlier, now) && [...now].every(([key, grant]) => within(grant, earlier.get(key)));
  return takesAway ? "stop" : "reconcile";
}

/** The running workspaces of a wish by workspace key. Empty while halted, expired or deleted: whatever comes next is given. */
function grants(permit: Permit, phases: PhaseSet, nowMs: number): Map<string, Grant> {
  const found = new Map<string, Grant>();
  if (permit.halted || permit.deletion !== "none" || isExpired(permit, nowMs)) return found;
  for (const rule of runningRules(permit, phases)) {
    for (const member of membersIn(permit.members, rule.role)) {
      const owners = rule.mounts.map(({ of }) => of === null ? [] : membersIn(permit.members, of));
      found.set(`${rule.kind}/${member.owner}`, {
        rule,
        username: member.username,
        account: permit.accounts[accountKey(member.username)] ?? null,
        owners: JSON.stringify(owners.map((list) => list.map(({ owner }) => owner))),
        allowedCidrs: new Set(member.allowedCidrs),
        sshPublicKeys: new Set(member.sshPublicKeys),
      });
    }
  }
  return found;
}

function statusPhase(permit: Permit, phases: PhaseSet): StatusPhase | null {
  return permit.status === null ? null : phases.statuses.get(permit.status) ?? null;
}

function runningRules(permit: Permit, phases: PhaseSet): WorkspaceRule[] {
  const events = [...phases.events.values()];
  const ingress = permit.ingressOpen ? events.filter(({ effect }) => effect === "open-ingress") : [];
  const stops = permit.stopRequested ? events.filter(({ effect }) => effect === "stop") : [];
  const stopped = new Set(stops.flatMap(({ kinds }) => kinds));
  return [
    ...(statusPhase(permit, phases)?.workspaces ?? []),
    ...ingress.flatMap(({ workspaces }) => workspaces),
  ]
    .filter((rule) => rule.power === "running" && !stopped.has(rule.kind));
}

function within(grant: Grant, earlier: Grant | undefined): boolean {
  return earlier !== undefined && earlier.rule === grant.rule && earlier.username === grant.username &&
    earlier.owners === grant.owners && earlier.account?.uid === grant.account?.uid &&
    earlier.account?.gid === grant.account?.gid && grant.allowedCidrs.isSubsetOf(earlier.allowedCidrs) &&
    grant.sshPublicKeys.isSubsetOf(earlier.sshPublicKeys);
}

function same(earlier: Map<string, Grant>, now: Map<string, Grant>): boolean {
  return earlier.size === now.size && [...now].every(([key, grant]) => {
    const other = earlier.get(key);
    return within(grant, other) && other !== undefined && within(other, grant);
  });
}
