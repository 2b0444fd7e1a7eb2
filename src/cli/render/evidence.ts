/** The proofs of isolation of a permit: `wps status PERMIT --evidence`. */
import type { EvidenceView } from "../../api/schemas/evidence.ts";
import type { Context } from "../context.ts";
import type { Style } from "../style.ts";
import { fields, table } from "../table.ts";
import { ago, instantText } from "../time.ts";

/** Each proof of the instances that run and of consolidations, whole; earlier instances on a line each. */
export function evidenceLines(
  permit: string,
  proofs: EvidenceView[],
  { style, surroundings }: Context,
): string[] {
  const nowMs = surroundings.nowMs();
  if (proofs.length === 0) {
    return [
      `No proof of isolation is kept of ${permit}: only workspaces and consolidations near sensitive data need one.`,
    ];
  }
  const isTask = ({ method }: EvidenceView): boolean => method === "task";
  const whole = [...proofs.filter((proof) => proof.running), ...proofs.filter(isTask)];
  const earlier = proofs.filter((proof) => !proof.running && !isTask(proof));
  return [
    ...whole.flatMap((proof, at) => [...(at === 0 ? [] : [""]), ...proofLines(style, proof, nowMs)]),
    ...(earlier.length === 0 ? [] : [
      ...(whole.length === 0 ? [] : [""]),
      style.bold("Earlier instances"),
      ...table(
        style,
        ["WORKSPACE", "POD", "BY", "PROVEN", "TARGETS", "REACHED"],
        earlier.map(earlierRow),
        "  ",
      ),
    ]),
  ];
}

function proofLines(style: Style, proof: EvidenceView, nowMs: number): string[] {
  const { workspace, method, pod, endedAt, begunAt, rounds, cleanRounds, control, policies } = proof;
  const how = {
    gate: "by its own gate, before anything was mounted",
    probe: "by a probe beside it while it runs, the newest",
    task: "consolidated, by the gate before it saw data",
  }[method];
  const facts: [string, string][] = [
    ["proven", `${instantText(endedAt)} (${ago(endedAt, nowMs)}), begun ${instantText(begunAt)}`],
    ["pod", `${pod.name} ${style.dim(pod.uid)}${pod.node === null ? "" : ` on ${pod.node}`}`],
    ["rounds", `${rounds}, the last ${cleanRounds} reached nothing`],
    ["policies", `${policies.count} in force, hash ${policies.hash}`],
  ];
  return [
    `${style.bold(workspace)}  ${how}`,
    ...fields(facts, "  "),
    ...table(
      style,
      [
        "TARGET",
        method === "task" ? "FROM THE CONSOLIDATION" : "FROM THE WORKSPACE",
        "CONTROL BEFORE",
        "CONTROL AFTER",
      ],
      targetRows(style, proof),
      "  ",
    ),
    style.dim(
      `  control asked ${control.before === null ? "not" : instantText(control.before.at)} before, ` +
        `${control.after === null ? "not" : instantText(control.after.at)} after`,
    ),
  ];
}

/** Each target once: also what only the control tried, or answered it to. */
function targetRows(style: Style, { targets, control }: EvidenceView): string[][] {
  const outcomes = new Map(targets.map(({ target, outcome }) => [target, outcome]));
  const tried = [control.before, control.after].flatMap((answer) =>
    answer === null ? [] : [...answer.alive, ...answer.silent]
  );
  return [...new Set([...outcomes.keys(), ...tried])].map((target) => [
    target,
    outcomeWord(style, outcomes.get(target)),
    answerWord(style, control.before, target),
    answerWord(style, control.after, target),
  ]);
}

function outcomeWord(style: Style, outcome: string | undefined): string {
  if (outcome === undefined) return "not tried";
  return isReached(outcome) ? style.red(outcome) : outcome;
}

function answerWord(style: Style, answer: EvidenceView["control"]["before"], target: string): string {
  if (answer?.alive.includes(target)) return style.green("alive");
  return answer?.silent.includes(target) ? style.yellow("silent") : "not asked";
}

function isReached(outcome: string): boolean {
  return outcome.startsWith("reached");
}

function earlierRow({ workspace, pod, method, endedAt, targets }: EvidenceView): string[] {
  return [
    workspace,
    pod.name,
    method,
    instantText(endedAt),
    `${targets.length}`,
    `${targets.filter(({ outcome }) => isReached(outcome)).length}`,
  ];
}
