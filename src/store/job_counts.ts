/** How many jobs there are, for health: what is under way and what a person must act on. */
import { z } from "zod";
import { URGENT_PRIORITY_MAX } from "../core/job.ts";
import type { Reader } from "./db.ts";

/** Counts of what counts now; jobs that something later has made good are history. */
export interface JobCounts {
  queued: number;
  running: number;
  /**
   * Permits that somebody must look at: the newest job for their wish failed, or their open one has been tried more than {@link ATTEMPTS_CALM} times, because what takes access away never fails but tries without end.
   */
  failed: number;
}

/** Attempts that are nothing to worry about: the default bound of `runner.attempts`. */
const ATTEMPTS_CALM = 8;

const countsRow = z.object({ queued: z.number(), running: z.number(), failed: z.number() });

/** Counts jobs. A repair that only took access away has made nothing good, see `takesOnly` of core/job.ts. */
export async function countJobs(reader: Reader): Promise<JobCounts> {
  const rows = await reader.read(
    `select
       (select count(*) from jobs where state = 'queued') as queued,
       (select count(*) from jobs where state = 'running') as running,
       (select count(*) from jobs as failed where failed.state = 'failed' and not exists (
          select 1 from jobs as later where later.permit_id = failed.permit_id and later.id > failed.id
            and not (later.kind = 'drift' and later.priority <= ?1)))
       + (select count(*) from jobs as open where open.state = 'queued' and open.attempt > ?2)
       + (select count(*) from jobs as open where open.state = 'running' and open.attempt > ?2) as failed`,
    [URGENT_PRIORITY_MAX, ATTEMPTS_CALM],
    countsRow,
  );
  return rows[0] ?? { queued: 0, running: 0, failed: 0 };
}
