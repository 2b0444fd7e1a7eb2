/** How far a job is, on one line. */
import type { JobView } from "../../api/schemas/jobs.ts";
import { bar, type Style } from "../style.ts";
import { counted } from "../text.ts";
import { ago, duration, until } from "../time.ts";

const BAR_WIDTH = 20;

/** "██████░░░░░░ 50 %  7 of 14 steps, about 3.0 s left". */
export function progressText(style: Style, { progress }: Pick<JobView, "progress">): string {
  const { done, total, percent, estimateMs } = progress;
  const left = estimateMs === null ? "" : `, about ${duration(estimateMs)} left`;
  const percentText = `${String(percent).padStart(3)} %`;
  return `${bar(style, percent, BAR_WIDTH)} ${percentText}  ${done} of ${counted(total, "step")}${left}`;
}

/** What an open job is doing right now; null: it has ended. */
export function activityText(job: JobView, nowMs: number): string | null {
  if (job.suspended) {
    const last = job.waitingFor === null ? "" : `; it waited for: ${job.waitingFor}`;
    return `${job.attempt === 0 ? "begins" : "goes on"} when the service starts${last}`;
  }
  if (job.waitingFor !== null) {
    const since = job.waitingSince === null ? "" : ` (for ${duration(nowMs - Date.parse(job.waitingSince))})`;
    return `waiting: ${job.waitingFor}${since}`;
  }
  if (job.state === "running") return "working";
  if (job.state !== "queued") return null;
  return job.attempt === 0
    ? `waiting for its turn, made ${ago(job.createdAt, nowMs)}`
    : `tries again ${until(job.runAt, nowMs)}, after attempt ${job.attempt}`;
}

/** How long a job took, or takes so far; null: it has not begun, or nobody works on it. */
export function spanText(job: JobView, nowMs: number): string | null {
  if (job.startedAt === null || job.suspended) return null;
  const endMs = job.endedAt === null ? nowMs : Date.parse(job.endedAt);
  return duration(endMs - Date.parse(job.startedAt));
}
