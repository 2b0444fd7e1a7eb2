/**
 * What a stream has told of a job's steps, written as the id of its server-sent events: who reconnects with it as
 * Last-Event-ID hears only what is new (WHATWG HTML 9.2). The text of job 41 is "41-57" (all its steps up to 57),
 * "41-57:52,55" (of those, 52 and 55 as running), and has ";end" at its end once the job's end was told.
 */
import type { StepRecord } from "../core/job.ts";

/** Running steps that an id names; where there are more, those from the first of them on are told again. */
export const RUNNING_MAX = 50;
/** Ids as written below; longer ones are nobody's. */
const ID = /^(\d{1,15})-(\d{1,15})(?::(\d{1,15}(?:,\d{1,15}){0,49}))?(;end)?$/;

/** Steps told so far. Steps are rows of one table: a newer one has a higher id. */
export class ToldSteps {
  readonly #job: number;
  #upTo = 0;
  readonly #running = new Set<number>();
  /** The end of the job was told to whoever sent the id. */
  readonly hasEnd: boolean;

  /** `lastId`: Last-Event-ID as it came; what is none of this job's counts as nothing told. */
  constructor(job: number, lastId: string | null) {
    this.#job = job;
    const [, of, upTo, running, end] = ID.exec(lastId ?? "") ?? [];
    this.hasEnd = end !== undefined && Number(of) === job;
    if (Number(of) !== job) return;
    this.#upTo = Number(upTo);
    for (const id of running?.split(",") ?? []) this.#running.add(Number(id));
  }

  /** Whether the step is news; it counts as told from now on. */
  take({ id, outcome }: Pick<StepRecord, "id" | "outcome">): boolean {
    const isRunning = outcome === "running";
    if (id <= this.#upTo && (isRunning || !this.#running.has(id))) return false;
    this.#upTo = Math.max(this.#upTo, id);
    if (isRunning) this.#running.add(id);
    else this.#running.delete(id);
    return true;
  }

  /** The id of the next event to be sent. */
  id(isEnd: boolean): string {
    const running = [...this.#running];
    const isLong = running.length > RUNNING_MAX;
    const upTo = isLong ? Math.min(...running) - 1 : this.#upTo;
    const open = running.length === 0 || isLong ? "" : `:${running.join(",")}`;
    return `${this.#job}-${upTo}${open}${isEnd ? ";end" : ""}`;
  }
}
