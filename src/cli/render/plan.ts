/** What would change, like a diff: `wps plan`, `wps drift`. */
import type { DriftView, PlanView } from "../../api/schemas/plans.ts";
import { type DriftUrgency, URGENCIES } from "../../core/drift_urgency.ts";
import type { Context } from "../context.ts";
import type { Style } from "../style.ts";
import { table } from "../table.ts";
import { counted, pad, widthOf } from "../text.ts";
import { troubleLines } from "./trouble.ts";
import { deletedText, NOTHING, OUTDATED_TEXT } from "./words.ts";

type PlanStep = PlanView["steps"][number];

/** Steps that take something away. The rest of what is not in {@link GIVES} changes or waits. */
const TAKES: ReadonlySet<string> = new Set([
  "cut-network",
  "stop",
  "remove-workspace",
  "remove-task",
  "replace-instance",
  "destroy-volume",
  "destroy-scope",
]);
/** Steps that give something. */
const GIVES: ReadonlySet<string> = new Set([
  "ensure-scope",
  "ensure-volume",
  "ensure-identity",
  "rebind-volume",
  "start",
  "open-network",
]);

/** "-" takes away, "+" gives, "~" changes, moves, proves or waits. */
function stepSign({ kind }: Pick<PlanStep, "kind">): "-" | "+" | "~" {
  return TAKES.has(kind) ? "-" : GIVES.has(kind) ? "+" : "~";
}

/** The lines of a plan. */
export function planLines(plan: PlanView, context: Context): string[] {
  const { style, terminal } = context;
  const status = plan.status ?? "no status";
  const asked = plan.event !== null
    ? ` if ${plan.event} came`
    : plan.hypothetical
    ? " if that were its status"
    : "";
  const head = `${style.bold(plan.permitId)}  ${status}${asked}`;
  const standing = standingLines(plan, context.surroundings.nowMs());
  if (!plan.differs) return [head, ...standing, "Nothing to do: everything is as it should be."];
  return [
    head,
    ...standing,
    ...stepLines(style, plan.steps, { whole: true, waves: true }),
    ...blocked(style, plan.obstacles, terminal.columns),
    "",
    `${summary(plan.steps)}. Nothing was changed by asking.`,
  ];
}

/** What explains a plan that does less than the status alone would ask for. */
function standingLines(
  { halted, deletedAt, outdated }: Pick<PlanView, "halted" | "deletedAt" | "outdated">,
  nowMs: number,
): string[] {
  return [
    ...(deletedAt === null ? [] : [`It was ${deletedText(deletedAt, nowMs)}.`]),
    ...(halted && deletedAt === null
      ? ["Halted: nothing is given and no volume goes before wps resume."]
      : []),
    ...outdated.map((key) => `${key} is ${OUTDATED_TEXT}`),
  ];
}

/** The lines of a permit's drift. */
export function driftLines(drift: DriftView, context: Context): string[] {
  const { style, terminal } = context;
  const head = style.bold(drift.permitId);
  const standing = standingLines(drift, context.surroundings.nowMs());
  if (!drift.differs) return [`${head}  no drift: everything is as it should be`, ...standing];
  const said = drift.jobId === null
    ? `Repair it now with wps drift ${drift.permitId} --repair; the periodic pass repairs it otherwise.`
    : `Job ${drift.jobId} is at work on it: wps jobs show ${drift.jobId} --follow`;
  return [
    `${head}  ${drift.jobId === null ? urgencyPaint(style, drift.urgency)("drifted") : "being changed"}`,
    ...standing,
    ...blocked(style, drift.obstacles, terminal.columns),
    ...URGENCIES.flatMap((urgency) => {
      const steps = drift.differences.filter((step) => step.urgency === urgency);
      return steps.length === 0 ? [] : [
        "",
        urgencyPaint(style, urgency)(URGENCY_TEXT[urgency]),
        ...stepLines(style, steps, { whole: true, waves: false }),
      ];
    }),
    "",
    said,
  ];
}

/** Headings of a permit's differences. */
const URGENCY_TEXT: Record<DriftUrgency, string> = {
  access: "Access that must not stand",
  data: "Data that is not safe",
  other: "What else differs",
};

/** Red for what must not stand. */
function urgencyPaint(style: Style, urgency: DriftUrgency | null): (text: string) => string {
  return urgency === "access" ? style.red : style.yellow;
}

/** The drift of many permits: one line for each that differs, the most urgent first, and a count. */
export function driftListLines(drifts: DriftView[], { style }: Context): string[] {
  const place = ({ urgency }: DriftView): number => URGENCIES.indexOf(urgency ?? "other");
  const differing = drifts.filter(({ differs }) => differs).toSorted((one, other) =>
    place(one) - place(other) || Number(one.jobId !== null) - Number(other.jobId !== null)
  );
  const rows = differing.map((drift) => [
    drift.permitId,
    drift.jobId === null ? urgencyPaint(style, drift.urgency)("drifted") : `job ${drift.jobId} is at work`,
    drift.urgency ?? NOTHING,
    `${drift.differences.length}`,
    gravestText(drift),
  ]);
  const drifted = differing.filter(({ jobId }) => jobId === null).length;
  return [
    ...table(style, ["PERMIT", "STATE", "CONCERNS", "STEPS", "GRAVEST"], rows),
    `${counted(drifts.length, "permit")} looked at: ${drifted} drifted, ` +
    `${differing.length - drifted} being changed, ${drifts.length - differing.length} as they should be`,
  ];
}

/** An obstacle says more than the step that meets it, unless the step is the graver. */
function gravestText({ obstacles: [obstacle], differences: [step], urgency }: DriftView): string {
  if (obstacle !== undefined && (obstacle.urgency === urgency || step === undefined)) return obstacle.message;
  return step === undefined ? "" : `${step.id}: ${step.why}`;
}

/** How steps are shown. */
export interface StepLook {
  /** With what must hold before and after each, and which are planned anew. */
  whole: boolean;
  /** Under the number of their wave. */
  waves: boolean;
}

/** The steps in their order. */
export function stepLines(style: Style, steps: PlanStep[], { whole, waves }: StepLook): string[] {
  const kindWidth = Math.max(0, ...steps.map(({ kind }) => widthOf(kind)));
  const targetWidth = Math.max(0, ...steps.map(({ target }) => widthOf(target)));
  const lines: string[] = [];
  let wave = -1;
  for (const step of steps) {
    if (waves && step.wave !== wave) lines.push(style.dim(`wave ${step.wave}`));
    wave = step.wave;
    const sign = stepSign(step);
    const paint = sign === "-" ? style.red : sign === "+" ? style.green : style.yellow;
    const later = whole && step.do === "later" ? style.dim("  (planned anew before it is done)") : "";
    const named = paint(`${sign} ${pad(step.kind, kindWidth)}`);
    lines.push(`  ${named}  ${pad(step.target, targetWidth)}  ${step.why}${later}`);
    if (!whole) continue;
    if (step.before.length > 0) lines.push(style.dim(`      before: ${step.before.join("; ")}`));
    if (step.after.length > 0) lines.push(style.dim(`      after:  ${step.after.join("; ")}`));
  }
  return lines;
}

function blocked(style: Style, obstacles: PlanView["obstacles"], columns: number): string[] {
  return obstacles.length === 0 ? [] : ["", ...troubleLines(style, obstacles, columns)];
}

function summary(steps: PlanStep[]): string {
  const count = (sign: string): number => steps.filter((step) => stepSign(step) === sign).length;
  const waves = new Set(steps.map(({ wave }) => wave)).size;
  return `${counted(steps.length, "step")} in ${counted(waves, "wave")}: ${count("-")} take away, ${
    count("+")
  } give, ${count("~")} change or wait`;
}
