/** prove-isolation, and the probe beside a running pod: packets, and a control that shows that they would get through. */
import { toInstant } from "../../core/clock.ts";
import type { ApplyResult, Probe } from "../../core/driver.ts";
import { Fault } from "../../core/fault.ts";
import type { ControlEvidence, IsolationEvidence } from "../../core/evidence.ts";
import { CANARIES_ALIVE_MIN } from "../../core/isolation.ts";
import { permitName, workspaceName } from "../../core/names.ts";
import { fingerprint } from "../../core/sha256.ts";
import type { Action } from "../../core/step.ts";
import { instanceOf } from "./apply_network.ts";
import { findScope, requireScope } from "./apply_scope.ts";
import { reachedBy } from "./gate.ts";
import { LAB_TARGETS } from "./network.ts";
import type { LabControl, LabPod, LabScope } from "./objects.ts";
import type { Requests } from "./request.ts";
import type { World } from "./world.ts";

/** Rounds of a probe: the first may meet a policy that is not enforced for it yet. */
const PROBE_ROUNDS = 3;

/** Judges the gate that the instance passed, and that the canaries were alive before and after it. */
export async function proveIsolation(
  requests: Requests,
  permitId: string,
  { workspace, instanceUid }: Extract<Action, { kind: "prove-isolation" }>,
  newest: { control: LabControl; after: string[] } | null,
): Promise<ApplyResult> {
  const name = permitName(permitId);
  return await requests.write(`pod of ${workspace.key}`, name, (world) => {
    const scope = requireScope(world, permitId, `prove the isolation of ${workspace.key}`);
    const pod = instanceOf(scope, workspace.key, instanceUid);
    const { template: { control: before }, gate } = pod;
    const own = scope.policies[workspaceName(workspace.key)];
    const reached = reachedBy(world, scope, pod);
    const after = newest?.control ?? null;
    const alive = before?.alive.filter((target) => after?.alive.includes(target)) ?? [];
    const missing = [
      pod.template.gated && gate.passed ? null : "it has passed no gate",
      own?.opening == null ? null : `it is open by ${own.opening.posture} rules`,
      reached.length === 0 ? null : `it reaches ${reached.join(", ")}`,
      newest?.after.includes(instanceUid) === true ? null : "the canaries were not asked after its gate",
      alive.length >= CANARIES_ALIVE_MIN
        ? null
        : `only ${alive.length} canaries were alive before and after its gate`,
    ].filter((text) => text !== null);
    if (missing.length > 0 || before === null || after === null) {
      const message = `Cannot show that ${workspace.key} is isolated: ${missing.join("; ")}`;
      const target = `pod ${pod.name}`;
      // Behind its gate the pod runs: what it reaches now is a way out beside data.
      if (gate.passed && reached.length > 0) {
        const advice = "Find out what lets it out and remove it, then run wps resume";
        throw new Fault("stalled", "isolation-breached", message, { advice, target });
      }
      const advice = "Remove what opens its network, then run wps jobs retry";
      throw new Fault("retry", "isolation-unproven", message, { advice, target });
    }
    if (!pod.proven) {
      pod.proven = true;
      world.moved();
    }
    const control = { before: inWords(before), after: inWords(after) };
    const { begunAtMs, endedAtMs, rounds, cleanRounds } = gate;
    return {
      detail: `pod ${pod.name}: its gate reached none of ${alive.length} live canaries`,
      evidence: {
        ...evidenceOf(scope, pod, { rounds, cleanRounds, begunAtMs, endedAtMs: endedAtMs ?? world.nowMs }),
        method: "gate",
        control,
      },
    };
  });
}

/** Control, packets, control again. What went meanwhile, or is silent, proves nothing. */
export async function probeInstance(
  requests: Requests,
  permitId: string,
  { workspaceKey, instanceUid }: { workspaceKey: string; instanceUid: string },
): Promise<Probe> {
  const { clock, cluster: { settings } } = requests.path;
  const name = permitName(permitId);
  const before = await askControl(requests);
  const begunAtMs = clock.now();
  const reached = new Map<string, number>();
  let rounds = 0, cleanRounds = 0;
  for (; rounds < PROBE_ROUNDS; rounds++) {
    await clock.sleep(settings.gateMs, requests.signal);
    const found = await requests.read(`probe beside ${workspaceKey}`, (world) => {
      const pod = livePod(world, permitId, workspaceKey, instanceUid);
      return pod === null ? null : reachedBy(world, pod.scope, pod.pod);
    });
    if (found === null) return { found: "unknown", why: `the pod of ${workspaceKey} is not there any more` };
    cleanRounds = found.length === 0 ? cleanRounds + 1 : 0;
    for (const target of found) reached.set(target, (reached.get(target) ?? 0) + 1);
  }
  const after = await askControl(requests);
  const alive = before.alive.filter((target) => after.alive.includes(target));
  const found = await requests.read(`pod of ${name}/${workspaceName(workspaceKey)}`, (world) => {
    const pod = livePod(world, permitId, workspaceKey, instanceUid);
    if (pod === null) return null;
    return evidenceOf(
      pod.scope,
      pod.pod,
      { rounds, cleanRounds, begunAtMs, endedAtMs: world.nowMs },
      reached,
    );
  });
  if (found === null) return { found: "unknown", why: `the pod of ${workspaceKey} is not there any more` };
  const control = { before: inWords(before), after: inWords(after) };
  const evidence: IsolationEvidence = { ...found, method: "probe", control };
  if (cleanRounds === 0) return { found: "breached", reached: [...reached.keys()], evidence };
  if (alive.length >= CANARIES_ALIVE_MIN) return { found: "isolated", evidence };
  return { found: "unknown", why: `only ${alive.length} canaries answer` };
}

async function askControl(requests: Requests): Promise<LabControl> {
  const { clock, cluster: { settings } } = requests.path;
  await clock.sleep(settings.controlMs, requests.signal);
  return await requests.read("the canaries", (world) => {
    const { silent } = world.state;
    return { atMs: world.nowMs, alive: LAB_TARGETS.filter((target) => !silent.includes(target)), silent };
  });
}

function livePod(
  world: World,
  permitId: string,
  key: string,
  uid: string,
): { scope: LabScope; pod: LabPod } | null {
  const scope = findScope(world, permitId);
  const pod = Object.values(scope?.pods ?? {}).find((candidate) => candidate.uid === uid);
  if (scope === null || pod === undefined || pod.belongs.key !== key || pod.phase !== "running") return null;
  return { scope, pod };
}

/** What the packets of a pod found, as evidence without who says so. */
export function evidenceOf(
  scope: LabScope,
  pod: LabPod,
  { rounds, cleanRounds, begunAtMs, endedAtMs }: {
    rounds: number;
    cleanRounds: number;
    begunAtMs: number;
    endedAtMs: number;
  },
  reached: ReadonlyMap<string, number> = new Map(),
): Omit<IsolationEvidence, "method" | "control"> {
  const policies = Object.values(scope.policies).map(({ name, rules }) => ({ name, rules }));
  return {
    pod: { name: pod.name, uid: pod.uid, node: pod.node },
    targets: LAB_TARGETS.map((target) => ({
      target,
      outcome: reached.has(target) ? "reached" : "timed out",
    })),
    rounds,
    cleanRounds,
    begunAt: toInstant(begunAtMs),
    endedAt: toInstant(endedAtMs),
    policies: { count: policies.length, hash: fingerprint(policies) },
  };
}

/** The control pod's answer as evidence. */
export function inWords({ atMs, alive, silent }: LabControl): ControlEvidence {
  return { at: toInstant(atMs), alive, silent };
}
