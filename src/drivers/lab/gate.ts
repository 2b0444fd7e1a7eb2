/** The isolation gate of a pod (DESIGN 8): an init container that must fail to reach every canary, round after round. */
import { LAB_TARGETS, type LabTarget, letsOut } from "./network.ts";
import type { LabPod, LabScope, LabTimer } from "./objects.ts";
import type { World } from "./world.ts";

/** Rounds in a row that must reach nothing. */
const CLEAN_ROUNDS = 3;
/** Rounds after which the gate gives up; its pod starts it again. */
const ROUNDS_MAX = 60;

/** What a packet from a pod would get to at this instant, and is there to answer: what is silent is never reached. */
export function reachedBy(world: World, scope: LabScope, pod: LabPod): LabTarget[] {
  return LAB_TARGETS.filter((target) => !world.state.silent.includes(target) && letsOut(scope, pod, target));
}

/** Whether the gate of a pod that has all it needs is behind it; otherwise its next round is made to come. */
export function passesGate(world: World, scope: LabScope, pod: LabPod): boolean {
  if (!pod.template.gated || pod.gate.passed) return true;
  if (!world.isScheduled("gate", pod.uid)) {
    world.schedule("gate", scope.name, pod.uid, world.settings.gateMs);
  }
  return false;
}

/** One round. */
export function gateTimer(world: World, scope: LabScope, timer: LabTimer): void {
  const pod = Object.values(scope.pods).find(({ uid }) => uid === timer.uid);
  if (pod === undefined || pod.deletedAtMs !== null || pod.phase !== "pending") return;
  if (!world.isReachable(pod.node)) return;
  const { gate } = pod;
  const reached = reachedBy(world, scope, pod);
  gate.rounds++;
  gate.cleanRounds = reached.length === 0 ? gate.cleanRounds + 1 : 0;
  const isBlind = LAB_TARGETS.some((target) => letsOut(scope, pod, target));
  gate.blind = gate.cleanRounds > 0 && (isBlind || (gate.blind && gate.cleanRounds > 1));
  gate.passed = gate.cleanRounds >= CLEAN_ROUNDS;
  if (!gate.passed && gate.rounds >= ROUNDS_MAX) {
    gate.failed = `gate reached ${reached.join(", ")}`;
    Object.assign(gate, { rounds: 0, cleanRounds: 0 });
  }
  if (gate.passed) Object.assign(gate, { failed: null, endedAtMs: world.nowMs });
  pod.reason = gate.failed ?? `gate: ${gate.cleanRounds} of ${CLEAN_ROUNDS} clean rounds`;
  world.bump(pod);
}
