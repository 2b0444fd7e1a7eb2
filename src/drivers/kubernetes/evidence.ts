/** A proof of isolation from its parts: what was tried, and which canaries speak for it (DESIGN 8). */
import { toInstant } from "../../core/clock.ts";
import type { ControlEvidence, IsolationEvidence } from "../../core/evidence.ts";
import { CANARIES_ALIVE_MIN } from "../../core/isolation.ts";
import { fingerprint } from "../../core/sha256.ts";
import { z } from "zod";
import { type GateReport, REACHED } from "./report.ts";
import type { Stored } from "./wire.ts";

/** A proof has at most so many bytes (DESIGN 8). */
const EVIDENCE_MAX_BYTES = 4096;
/** What the control said is of use for a proof only around it; a pod that is rescheduled later is proven anew. */
export const BEFORE_MAX_MS = 900_000;

const controlSchema: z.ZodType<ControlEvidence> = z.strictObject({
  at: z.string(),
  alive: z.array(z.string()),
  silent: z.array(z.string()),
});

/** The control's answer that a pod's start relied on, from its annotation; null: there is none that can be read. */
export function parseControl(annotation: string | null): ControlEvidence | null {
  if (annotation === null) return null;
  try {
    return controlSchema.parse(JSON.parse(annotation));
  } catch {
    return null;
  }
}

/** What {@link proofOf} is made from. */
export interface ProofParts {
  method: IsolationEvidence["method"];
  pod: Stored<"pods">;
  /** Whose isolation it is: a probe speaks for another pod than its own. */
  instance: { name: string; uid: string };
  report: GateReport;
  before: ControlEvidence | null;
  after: ControlEvidence | null;
  policies: Stored<"networkpolicies">[];
}

/** The evidence, of at most 4096 bytes: long lists lose their ends, and say how many those were. */
export function evidenceOf(
  { method, pod, instance, report, before, after, policies }: ProofParts,
): IsolationEvidence {
  const whole: IsolationEvidence = {
    method,
    pod: { ...instance, node: pod.spec?.nodeName ?? null },
    targets: report.targets.map(([target, outcome]) => ({ target, outcome })),
    rounds: report.rounds,
    cleanRounds: report.clean,
    begunAt: toInstant(report.begun * 1000),
    endedAt: toInstant(report.ended * 1000),
    control: { before, after },
    policies: { count: policies.length, hash: policiesHash(policies) },
  };
  for (let most = LISTED_MAX;; most = Math.floor(most / 2)) {
    const cut = shorten(whole, most);
    if (most === 0 || new TextEncoder().encode(JSON.stringify(cut)).length <= EVIDENCE_MAX_BYTES) return cut;
  }
}

const LISTED_MAX = 128;

function shorten(evidence: IsolationEvidence, most: number): IsolationEvidence {
  const list = (texts: string[]): string[] =>
    texts.length <= most ? texts : [...texts.slice(0, most), `${texts.length - most} more`];
  const control = (found: ControlEvidence | null): ControlEvidence | null =>
    found && { at: found.at, alive: list(found.alive), silent: list(found.silent) };
  // What was reached comes first: it must not be cut off.
  const targets = [...evidence.targets].sort((a, b) =>
    Number(b.outcome === REACHED) - Number(a.outcome === REACHED)
  );
  const { before, after } = evidence.control;
  return {
    ...evidence,
    targets: targets.length <= most
      ? targets
      : [...targets.slice(0, most), { target: `${targets.length - most} more`, outcome: "not listed" }],
    control: { before: control(before), after: control(after) },
  };
}

/** A hash of what the policies of a namespace say, whatever their order. */
function policiesHash(policies: Stored<"networkpolicies">[]): string {
  const said = policies.map(({ metadata: { name, uid }, spec }) => ({ name, uid, spec }));
  return fingerprint(said.sort((a, b) => a.name < b.name ? -1 : 1));
}

/** Targets that were not reached although they were alive before and after: what a proof rests on. */
export function provenTargets(
  report: GateReport,
  before: ControlEvidence,
  after: ControlEvidence,
): string[] {
  return report.targets.flatMap(([target, outcome]) =>
    outcome !== REACHED && before.alive.includes(target) && after.alive.includes(target) ? [target] : []
  );
}

/** Why targets prove too little, for a person; null: they are enough. */
export function tooFew(proven: string[]): string | null {
  if (proven.length >= CANARIES_ALIVE_MIN) return null;
  const which = proven.length === 0 ? "" : ` (${proven.join(", ")})`;
  return `${proven.length} canaries${which} were alive before and after it, at least ${CANARIES_ALIVE_MIN} must be`;
}
