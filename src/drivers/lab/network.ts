/** What the node does with packets: policies add up, follow the API after a delay, and spare open connections. */
import { contains, parseCidr } from "../../core/cidr.ts";
import type { LabPod, LabRules, LabScope, LabTimer } from "./objects.ts";
import { runningPods, type World } from "./world.ts";

/** Name of the policy that denies every pod of a permit both ways. */
export const DEFAULT_DENY = "default-deny";
/** The default-deny's rules. */
export const DENY_ALL: LabRules = { selects: null, onlyPod: null, egress: "none", ingress: "none" };

/** Where a pod may try to get to: outside, the proxy, any name server, or a canary of the isolation proof. */
export const LAB_TARGETS = ["internet", "proxy", "dns", "canary"] as const;
/** One of {@link LAB_TARGETS}. */
export type LabTarget = typeof LAB_TARGETS[number];
/** Who may try to get in: the gateway, any other pod, or an address outside. */
export type LabSource = "gateway" | "stranger" | { cidr: string };

/** Brings what is enforced nearer to what the API says, after the delay; and lets every pod try every door. */
export function settleNetwork(world: World, scope: LabScope): void {
  if (!isEnforced(scope) && !world.isScheduled("enforce", scope.uid)) {
    world.schedule("enforce", scope.name, scope.uid, world.settings.enforceMs);
  }
  for (const pod of runningPods(scope)) {
    const reached = LAB_TARGETS.filter((target) => mayLeave(scope, pod, target)).map((target) =>
      `to ${target}`
    );
    const fresh = [...reached, ...outsiders(scope, pod)].filter((end) => !pod.connections.includes(end));
    if (fresh.length === 0) continue;
    pod.connections.push(...fresh);
    world.moved();
  }
}

/** Whether the node already does what the API says. */
export function isEnforced(scope: LabScope): boolean {
  const wanted = Object.values(scope.policies);
  return wanted.length === Object.keys(scope.enforced).length &&
    wanted.every(({ name, rules }) => sameRules(scope.enforced[name], rules));
}

/** Whether two rules let the same pass. */
export function sameRules(a: LabRules | undefined, b: LabRules): boolean {
  return JSON.stringify([a?.selects, a?.onlyPod, a?.egress, a?.ingress]) ===
    JSON.stringify([b.selects, b.onlyPod, b.egress, b.ingress]);
}

/** The policies have reached the node. */
export function networkTimer(world: World, scope: LabScope, _timer: LabTimer): void {
  scope.enforced = Object.fromEntries(
    Object.values(scope.policies).map(({ name, rules }) => [name, structuredClone(rules)]),
  );
  world.moved();
}

/** The enforced rules that select a pod. */
export function rulesFor(scope: LabScope, pod: LabPod): LabRules[] {
  const own = pod.belongs.to === "workspace" ? pod.belongs.key : null;
  return Object.values(scope.enforced).filter(({ selects, onlyPod }) =>
    (selects === null || selects === own) && (onlyPod === null || onlyPod === pod.uid)
  );
}

/** Whether a new connection from a running pod would get to a target at this instant. */
export function mayLeave(scope: LabScope, pod: LabPod, target: LabTarget): boolean {
  return pod.phase === "running" && letsOut(scope, pod, target);
}

/** Whether the enforced rules let a packet from a pod get to a target, whatever of the pod is there to send it. */
export function letsOut(scope: LabScope, pod: LabPod, target: LabTarget): boolean {
  const rules = rulesFor(scope, pod);
  if (rules.length === 0) return true;
  return rules.some(({ egress }) => egress === "any" || (egress === "proxy" && target === "proxy"));
}

/** Whether a new connection from somewhere would get to a running pod at this instant. */
export function mayEnter(scope: LabScope, pod: LabPod, source: LabSource): boolean {
  if (pod.phase !== "running") return false;
  const rules = rulesFor(scope, pod).filter(({ ingress }) => ingress !== null);
  if (rules.length === 0) return true;
  return rules.some(({ ingress }) => {
    if (ingress === "any") return true;
    if (Array.isArray(ingress)) return typeof source === "object" && isWithin(source.cidr, ingress);
    return ingress === "gateway" && source === "gateway";
  });
}

function isWithin(address: string, ranges: string[]): boolean {
  const inner = parseCidr(address);
  return !("error" in inner) && ranges.some((range) => {
    const outer = parseCidr(range);
    return !("error" in outer) && contains(outer, inner);
  });
}

/** Everybody but the gateway who may come in, as ends of connections. */
function outsiders(scope: LabScope, pod: LabPod): string[] {
  const ranges = rulesFor(scope, pod).flatMap(({ ingress }) => Array.isArray(ingress) ? ingress : []);
  const stranger = mayEnter(scope, pod, "stranger") ? ["from stranger"] : [];
  return [...stranger, ...ranges.map((range) => `from ${range}`)];
}
