/** Jobs and their steps. */
import type { JobDetail, JobView, StepView } from "../../api/schemas/jobs.ts";
import { isCounted } from "../../core/progress.ts";
import type { Context } from "../context.ts";
import type { Style } from "../style.ts";
import { table } from "../table.ts";
import { counted } from "../text.ts";
import { ago, duration, instantText } from "../time.ts";
import { activityText, progressText, spanText } from "./progress.ts";
import { adviceLines, troubleLines } from "./trouble.ts";
import { CANCEL_TEXT, NOTHING, stateWord } from "./words.ts";

/** A list of jobs. */
export function jobListLines(jobs: JobView[], { style, surroundings }: Context): string[] {
  const nowMs = surroundings.nowMs();
  if (jobs.length === 0) return ["No jobs."];
  const rows = jobs.map((job) => [
    `${job.id}`,
    job.permitId,
    job.kind,
    stateWord(style, job),
    `${job.attempt}`,
    isHopeful(job) ? `${job.progress.percent} %` : NOTHING,
    ago(job.createdAt, nowMs),
    spanText(job, nowMs) ?? NOTHING,
    job.waitingFor ?? job.message ?? "",
  ]);
  const header = ["JOB", "PERMIT", "KIND", "STATE", "ATTEMPT", "DONE", "MADE", "TOOK", "DETAIL"];
  return table(style, header, rows);
}

/** Whether progress says anything: the last steps of a failed job are those that took it back. */
function isHopeful({ state }: JobView): boolean {
  return state === "queued" || state === "running" || state === "succeeded";
}

/** One job with its steps. */
export function jobLines(job: JobDetail, context: Context): string[] {
  const { style } = context;
  return [...jobHeadLines(job, context), "", ...stepTable(style, job, context.surroundings.nowMs())];
}

/** One job without its steps. */
export function jobHeadLines(job: JobView, { style, surroundings }: Context): string[] {
  const nowMs = surroundings.nowMs();
  const isOpen = job.state === "queued" || job.state === "running";
  const span = spanText(job, nowMs);
  const facts = [
    `made ${instantText(job.createdAt)}`,
    job.eventSeq === null ? null : `by event ${job.eventSeq}`,
    job.attempt === 0 ? null : `attempt ${job.attempt}`,
    span === null ? null : `${isOpen ? "for" : "took"} ${span}`,
    job.endedAt === null ? null : `ended ${instantText(job.endedAt)}`,
  ];
  const activity = activityText(job, nowMs);
  const goOn = job.state === "cancelled" ? `To go on run wps jobs retry ${job.id}` : null;
  const trouble = job.message === null ? [] : [{ message: job.message, advice: job.advice ?? goOn }];
  return [
    `${style.bold(`job ${job.id}`)}  ${job.kind} of ${job.permitId}  ${stateWord(style, job)}`,
    style.dim(`  ${facts.filter((fact) => fact !== null).join(", ")}`),
    ...(isHopeful(job) && job.progress.total > 0 ? [`  ${progressText(style, job)}`] : []),
    ...(activity === null ? [] : [`  ${activity}`]),
    ...(job.waitingFor === null ? [] : adviceLines(style, job.advice, surroundings.terminal.columns)),
    ...(job.cancelRequested ? [`  ${CANCEL_TEXT}`] : []),
    ...troubleLines(style, trouble, surroundings.terminal.columns),
  ];
}

function stepTable(style: Style, { state, steps, startedAt, suspended }: JobDetail, nowMs: number): string[] {
  if (steps.length === 0) return [noStepsText(state)];
  const beganMs = Date.parse(startedAt ?? steps[0]?.startedAt ?? "");
  const rows = steps.map((step) => [
    `${step.attempt}`,
    `+${duration(Date.parse(step.startedAt) - beganMs)}`,
    suspended && step.outcome === "running" ? style.yellow("interrupted") : outcomeWord(style, step.outcome),
    step.kind,
    step.target,
    suspended && step.endedAt === null ? NOTHING : stepSpan(step, nowMs),
    stepDetail(step) ?? step.why,
  ]);
  const lines = table(style, ["ATTEMPT", "BEGAN", "OUTCOME", "STEP", "TARGET", "TOOK", "DETAIL"], rows);
  const beside = besideText(steps);
  return beside === null ? lines : [...lines, "", style.dim(beside)];
}

/** Why there are none, by what became of the job. */
function noStepsText(state: JobView["state"]): string {
  if (state === "succeeded") return "No steps: all was as it should be already.";
  return state === "queued" || state === "running" ? "No steps yet." : "No steps were made.";
}

/** What of the list the progress does not count; null: all of it counts. */
function besideText(steps: StepView[]): string | null {
  const ids = steps.map(({ kind, target }) => `${kind} ${target}`);
  const waits = ids.filter((id) => id.startsWith("await-")).length;
  const retained = ids.filter((id) => !isCounted(id)).length - waits;
  const repeatable = ids.filter(isCounted);
  const again = repeatable.length - new Set(repeatable).size;
  const parts = [
    waits === 0 ? null : counted(waits, "wait"),
    retained === 0 ? null : counted(retained, "retained volume"),
    again === 0 ? null : counted(again, "repetition"),
  ].filter((part) => part !== null);
  return parts.length === 0 ? null : `Listed, and not counted as steps: ${parts.join(", ")}.`;
}

/** One step on a line of its own, for following. `whole`: with what the platform said. */
export function stepLine(style: Style, step: StepView, nowMs: number, whole = true): string {
  const sign = step.outcome === "failed"
    ? style.red(style.signs.bad)
    : step.outcome === "abandoned"
    ? style.yellow(style.signs.warning)
    : style.green(style.signs.ok);
  const said = stepDetail(step);
  const detail = said === null || (!whole && step.outcome === "done") ? "" : style.dim(`  ${said}`);
  return `${sign} ${step.kind} ${step.target}  ${stepSpan(step, nowMs)}${detail}`;
}

/** What a wait that is over waited for is no state of now. */
function stepDetail({ kind, outcome, detail }: StepView): string | null {
  const isOver = kind.startsWith("await-") && outcome === "done";
  return detail === null || !isOver ? detail : `waited while ${detail}`;
}

function outcomeWord(style: Style, outcome: StepView["outcome"]): string {
  if (outcome === "failed") return style.red(outcome);
  return outcome === "running" ? style.blue(outcome) : outcome;
}

function stepSpan({ startedAt, endedAt }: StepView, nowMs: number): string {
  return duration((endedAt === null ? nowMs : Date.parse(endedAt)) - Date.parse(startedAt));
}
