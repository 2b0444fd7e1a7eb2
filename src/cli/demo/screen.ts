/** Tells a person, on a terminal or through a pipe. */
import type { JobChange, JobView } from "../../api/schemas/jobs.ts";
import type { PermitSnapshot, PodSnapshot } from "../../drivers/lab/snapshot.ts";
import type { Context } from "../context.ts";
import { LiveLine } from "../live.ts";
import { stepLine } from "../render/job.ts";
import { stepLines } from "../render/plan.ts";
import { activityText, progressText } from "../render/progress.ts";
import { stateWord, verdictWord } from "../render/words.ts";
import { duration } from "../time.ts";
import type { Answers, Ending, Narrator } from "./narrator.ts";
import { counted } from "../text.ts";

/** A narrator that writes for people. */
export function screenNarrator(context: Context): Narrator {
  const { style, terminal } = context;
  const live = new LiveLine(terminal);
  let acts = 0;
  const say = (...lines: string[]): void => {
    live.clear();
    context.lines(lines);
  };
  return {
    begins(permitId, count): void {
      acts = count;
      say(
        `The life of ${style.bold(permitId)} on a simulated cluster: the real service, two data holders, two`,
        "researchers. After each event the cluster itself is asked what is really so.",
      );
    },
    act: (number, { title, story }) => say("", `${style.bold(`${number}/${acts}  ${title}`)}`, `  ${story}`),
    verdict(event, { verdict, seq, reason }): void {
      const why = reason === null ? "" : `: ${reason}`;
      say(`  event ${seq} ${event.type}, revision ${event.revision}: ${verdictWord(style, verdict)}${why}`);
    },
    plan: (plan) =>
      say(
        ...(plan.differs
          ? [
            style.dim("  plan"),
            ...stepLines(style, plan.steps, { whole: false, waves: true }).map((line) => `  ${line}`),
          ]
          : [style.dim("  plan: nothing to do")]),
      ),
    job: (change) => tellJob(change, context, live, say),
    exists: (seen) =>
      say(style.dim("  what exists"), ...existsLines(seen, context).map((line) => `    ${line}`)),
    answers: (answers) => say(...answerLines(answers, context)),
    checks: (checks) =>
      say(
        ...checks.map(({ what, ok, detail }) =>
          ok
            ? `  ${style.green(style.signs.ok)} ${what}`
            : `  ${style.red(style.signs.bad)} ${what}${detail === null ? "" : ` (${detail})`}`
        ),
      ),
    ends: (ending) => say("", ...endLines(ending, context)),
    leaves: () => live.clear(),
  };
}

function tellJob(change: JobChange, context: Context, live: LiveLine, say: (line: string) => void): void {
  const { style, surroundings } = context;
  const nowMs = surroundings.nowMs();
  if (change.event === "step") {
    if (change.data.outcome !== "running") say(`    ${stepLine(style, change.data, nowMs, false)}`);
    return;
  }
  if (change.event === "job") {
    live.draw(`    ${progressText(style, change.data)}`, activityText(change.data, nowMs) ?? "");
    return;
  }
  say(`  ${jobEnd(change.data, context)}`);
}

function jobEnd(job: JobView, { style }: Context): string {
  const { id, kind, progress, startedAt, endedAt, message } = job;
  const took = startedAt === null || endedAt === null
    ? ""
    : ` in ${duration(Date.parse(endedAt) - Date.parse(startedAt))}`;
  const why = message === null ? "" : `: ${message}`;
  return `job ${id} (${kind}) ${stateWord(style, job)}, ${counted(progress.done, "step")}${took}${why}`;
}

/** The truth in a few lines. */
function existsLines(seen: PermitSnapshot, { style }: Context): string[] {
  const workspaces = seen.pods.filter(({ kind }) => kind === "workspace");
  const lines = workspaces.flatMap((pod) => [
    `${style.green(pod.of)}  ${pod.phase}${pod.ready ? ", ready" : ""}, ${accountText(pod)}, ${
      networkText(pod)
    }`,
    ...pod.mounts.map(({ path, volumeKey, mode }) => `  ${mode} ${path}  ${style.dim(volumeKey)}`),
  ]);
  if (seen.stopped.length > 0) lines.push(`stopped: ${seen.stopped.join(", ")}`);
  if (seen.volumes.length > 0) {
    const volumes = seen.volumes.map(({ key, files, marked }) => {
      const taint = marked && /^(home|project)\b/.test(key) ? ", tainted" : "";
      return `${key} (${counted(files.length, "file")}${taint})`;
    });
    lines.push(`volumes: ${volumes.join(", ")}`);
  }
  if (lines.length === 0) {
    lines.push(seen.scope === "absent" ? "nothing" : `an empty namespace (${seen.scope})`);
  }
  return lines;
}

function accountText({ account: { username, uid, gid } }: PodSnapshot): string {
  return `${username} ${uid}:${gid}`;
}

function networkText({ leaves, enters }: PodSnapshot): string {
  const out = leaves.length === 0 ? "nothing" : leaves.join(", ");
  const inward = enters.length === 0 ? "nobody" : enters.join(", ");
  return `out: ${out}, in: ${inward}`;
}

function answerLines({ status, connection }: Answers, { style }: Context): string[] {
  const of = connection.of === null ? "" : `?username=${connection.of}`;
  const word = typeof status.body === "object" && status.body !== null && "status" in status.body
    ? status.body.status
    : null;
  const shown = typeof word === "string" ? JSON.stringify(status.body) : "";
  return [
    `  GET …/status -> ${status.http} ${shown}`,
    `  GET …/connection${of} -> ${connection.http} ${connectionText(connection)}`,
  ].map((line) => style.dim(line));
}

function connectionText({ http, body }: Answers["connection"]): string {
  if (http === 200) return JSON.stringify(body);
  const detail = typeof body === "object" && body !== null && "detail" in body ? body.detail : null;
  return typeof detail === "string" ? detail : "";
}

function endLines({ acts, checks, failed, tookMs }: Ending, { style }: Context): string[] {
  const took = duration(tookMs);
  if (failed > 0) {
    return [
      style.red(`${failed} of ${checks} checks failed; ${acts} events in ${took}. Nothing is left behind.`),
    ];
  }
  return [style.green(`All ${checks} checks of ${acts} events hold; ${took}. Nothing is left behind.`)];
}
