/** Watches a job to its end: steps as lines, and on a terminal a line beneath that shows progress. */
import type { JobChange, JobView, StepView } from "../api/schemas/jobs.ts";
import { Fault } from "../core/fault.ts";
import { MACHINE_CLOCK } from "../machine.ts";
import type { ServiceClient } from "./client.ts";
import type { Context } from "./context.ts";
import { CliError, EXIT, type ExitCode } from "./exit.ts";
import { LiveLine } from "./live.ts";
import { jobHeadLines, stepLine } from "./render/job.ts";
import { activityText, progressText } from "./render/progress.ts";
import { adviceLines, troubleLines } from "./render/trouble.ts";
import { serverSentEvents } from "./sse.ts";
import { jsonText, visible } from "./text.ts";

/** A service that restarts is back within this; pauses between two looks for it. */
const AWAY_MAX_MS = 30_000;
const AWAY_PAUSE_MS = 500;

/**
 * Follows until the job has ended, then says how: 0 when it succeeded or a newer wish took its place, else 1. A
 * restart of the service is waited for. An interrupt ends the watching, never the job. `json`: one change a line,
 * as the API streams it.
 */
export async function followJob(
  client: ServiceClient,
  id: number,
  json: boolean,
  context: Context,
): Promise<ExitCode> {
  const leaving = new AbortController();
  const { signal } = leaving;
  const release = context.surroundings.onInterrupt(() => leaving.abort());
  const view = json ? jsonFollower(context) : screenFollower(context);
  let hasHeard = false;
  let lastId: string | null = null;
  let awaySinceMs: number | null = null;
  try {
    while (true) {
      try {
        const stream = await client.stream(`/jobs/${id}/events`, signal, lastId);
        for await (const { event, data, id: eventId } of serverSentEvents(stream, signal)) {
          lastId = eventId ?? lastId;
          const change = changeOf(event, data);
          if (change === null) continue;
          hasHeard = true;
          awaySinceMs = null;
          view.show(change);
          if (change.event === "end") return endCode(change.data);
        }
      } catch (thrown) {
        const nowMs = context.surroundings.nowMs();
        awaySinceMs ??= nowMs;
        const isWorthWaiting = hasHeard && isAway(thrown) && nowMs - awaySinceMs <= AWAY_MAX_MS;
        if (signal.aborted || !isWorthWaiting) throw thrown;
      }
      await MACHINE_CLOCK.sleep(AWAY_PAUSE_MS, signal);
      signal.throwIfAborted();
    }
  } catch (thrown) {
    view.leave();
    if (!signal.aborted) throw thrown;
    context.note(`stopped watching; job ${id} goes on`);
    return EXIT.done;
  } finally {
    release();
  }
}

/** The service restarts: nobody listens, or the stream broke. */
function isAway(thrown: unknown): boolean {
  if (thrown instanceof Fault) return thrown.reason === "unavailable";
  return !(thrown instanceof CliError);
}

/** Null for what a newer service may send and this program does not know. */
function changeOf(event: string, data: string): JobChange | null {
  if (event !== "job" && event !== "step" && event !== "end") return null;
  return { event, data: JSON.parse(data) } as JobChange; // as the API's schema JobChange says
}

function endCode({ state }: JobView): ExitCode {
  return state === "succeeded" || state === "superseded" ? EXIT.done : EXIT.failed;
}

interface Follower {
  show(change: JobChange): void;
  /** Leaves the terminal as a person expects it. */
  leave(): void;
}

function jsonFollower({ terminal }: Context): Follower {
  return { show: (change) => terminal.out(`${jsonText(change, 0)}\n`), leave: () => {} };
}

function screenFollower(context: Context): Follower {
  const { terminal, style, surroundings } = context;
  const shown = new Set<number>();
  const live = new LiveLine(terminal);
  let lastActivity = "";
  let lastFault = "";
  let lastAdvice = "";
  const showStep = (step: StepView): void => {
    if (step.outcome === "running" || shown.has(step.id)) return;
    shown.add(step.id);
    live.clear();
    context.lines([stepLine(style, step, surroundings.nowMs())]);
  };
  const showJob = (job: JobView): void => {
    const activity = activityText(job, surroundings.nowMs()) ?? "";
    // Between two attempts: what is in the way must not wait for the end, which may never come.
    const { message, advice } = job;
    if (job.state === "queued" && job.attempt > 0 && message !== null && message !== lastFault) {
      lastFault = message;
      live.clear();
      context.lines(troubleLines(style, [{ message, advice }], terminal.columns));
    }
    if (!terminal.isTerminal && job.waitingFor !== null && job.waitingFor !== lastActivity) {
      lastActivity = job.waitingFor;
      context.lines([`${job.progress.percent} %  waiting: ${job.waitingFor}`]);
    }
    if (job.waitingFor === null) lastAdvice = "";
    else if (advice !== null && advice !== lastAdvice) {
      lastAdvice = advice;
      live.clear();
      if (terminal.isTerminal) context.lines([`waiting: ${job.waitingFor}`]);
      context.lines(adviceLines(style, advice, terminal.columns));
    }
    if (terminal.isTerminal) live.draw(progressText(style, job), activity);
  };
  return {
    show(change): void {
      const safe = visible(change);
      if (safe.event === "step") return showStep(safe.data);
      if (safe.event === "job") return showJob(safe.data);
      live.clear();
      context.lines(jobHeadLines(safe.data, context));
    },
    leave: () => live.clear(),
  };
}
