/** A job's changes as server-sent events (WHATWG HTML 9.2), told as they are committed. */
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import type { Job } from "../core/job.ts";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../log.ts";
import type { Reader } from "../store/db.ts";
import { getJob } from "../store/jobs.ts";
import { stepsOf } from "../store/steps.ts";
import type { ApiEnv } from "./env.ts";
import { type FeedSeat, type JobFeed, STREAMS_MAX } from "./job_feed.ts";
import { isOpen, jobView, stepView, usualDurationMs } from "./job_view.ts";
import { ProblemError } from "./problem.ts";
import { type JobChange, STEPS_MAX } from "./schemas/jobs.ts";
import { ToldSteps } from "./told_steps.ts";

/** Proxies close a silent connection after 30 s and more; a comment keeps it open. */
const HEARTBEAT_MS = 15_000;
/** Without a word of a change the database is looked at so often: another instance may run the job. */
const LOOK_MS = 1_000;
/** Changes that follow each other more closely are shown together. */
const COALESCE_MS = 100;

/** What a stream works with. */
export interface StreamDeps {
  db: Reader;
  clock: Clock;
  feed: JobFeed;
  log: Log;
}

/**
 * The stream of one job until it has ended; after Last-Event-ID what is new. Who has heard the end gets 204, which keeps
 * an EventSource from asking for ever. Problem `too-many-streams` when all seats are taken.
 */
export function streamJob(deps: StreamDeps, c: Context<ApiEnv>, job: Job): Response {
  const told = new ToldSteps(job.id, c.req.header("Last-Event-ID") ?? null);
  if (told.hasEnd && !isOpen(job)) return c.body(null, 204);
  const seat = deps.feed.sit(job.permitId);
  if (seat === null) {
    throw new ProblemError(
      "too-many-streams",
      `Cannot open a stream: ${STREAMS_MAX} are open, or the service is stopping`,
      { advice: `Ask GET /jobs/${job.id} instead` },
      { "Retry-After": "5" },
    );
  }
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => seat.leave());
    try {
      await tell(deps, stream, seat, told, job.id);
    } catch (error) {
      // The answer has begun: all that is left is to end it, so that the caller asks anew.
      deps.log.error("A stream failed", { job: job.id, requestId: c.get("requestId"), error });
    } finally {
      seat.leave();
    }
  });
}

async function tell(
  { db, clock }: StreamDeps,
  stream: SSEStreamingApi,
  seat: FeedSeat,
  told: ToldSteps,
  id: number,
): Promise<void> {
  let lastNews = "";
  let spokeAtMs = clock.now();
  const say = async ({ event, data }: JobChange): Promise<void> => {
    spokeAtMs = clock.now();
    await stream.writeSSE({ event, data: JSON.stringify(data), id: told.id(event === "end") });
  };
  while (!seat.signal.aborted && !stream.aborted) {
    const job = await getJob(db, id);
    if (job === null) return;
    for (const step of (await stepsOf(db, id)).slice(-STEPS_MAX)) {
      if (told.take(step)) await say({ event: "step", data: stepView(step) });
    }
    const view = jobView(job, await usualDurationMs(db, job), clock.now());
    if (!isOpen(job)) return await say({ event: "end", data: view });
    // The estimate alone changes with every look: that is no news.
    const { estimateMs: _, ...progress } = view.progress;
    const news = JSON.stringify({ ...view, progress });
    if (news !== lastNews) {
      lastNews = news;
      await say({ event: "job", data: view });
    }
    if (clock.now() - spokeAtMs >= HEARTBEAT_MS) {
      spokeAtMs = clock.now();
      await stream.write(": still here\n\n");
    }
    await seat.wait(LOOK_MS);
    await clock.sleep(COALESCE_MS, seat.signal);
  }
}
