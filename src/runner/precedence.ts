/**
 * Who goes before what an attempt has under way: a halt, an expiry or a deletion of the same permit. None of them waits
 * for a long step or a slow look (DESIGN 6: every wait, also inside a long step, is a step boundary): those are broken off,
 * and what became of them is for the next look to say.
 */
import type { Job } from "../core/job.ts";
import { Fault } from "../core/fault.ts";
import { isEndless } from "../core/retry.ts";
import type { Wanted } from "../store/job_transitions.ts";
import type { Bell } from "./bell.ts";

/** What the attempt's ledger answers. */
export interface Standing {
  wanted(): Promise<Wanted>;
  overtaken(): Promise<boolean>;
}

/** Asked on behalf of one attempt. */
export interface Precedence {
  /** Runs `work` with a signal that aborts when the service stops, or as soon as {@link isOvertaken}. */
  heed<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /**
   * As `work`, but not waited for once overtaken: then it throws. For what changes nothing of the permit that counts, and
   * may have to clean up behind itself while a platform is slow; what becomes of it nobody asks.
   */
  orLeave<T>(work: Promise<T>): Promise<T>;
  /** Aborts when the service stops; for what is let finish. */
  readonly stopping: AbortSignal;
  /** Whether a halt or a deletion has been seen to wait for this attempt. */
  isOvertaken(): boolean;
  /** Whether the job is still wanted, asked now; where nobody can say, it is not: in doubt nothing more is given. */
  goesOn(): Promise<boolean>;
  close(): void;
}

/** Without a ring, whether somebody goes first is asked this often: rings are hints, and a step lasts minutes at most. */
const ASK_MS = 15_000;

/** For an attempt of `job`; `stopping` aborts when the service stops. What takes access away itself is overtaken by nobody. */
export function openPrecedence(
  { bell, ledger }: { bell: Bell; ledger: Standing },
  job: Pick<Job, "permitId" | "kind" | "priority">,
  stopping: AbortSignal,
): Precedence {
  const goesOn = (): Promise<boolean> => ledger.wanted().then((wanted) => wanted === "go on", () => false);
  if (isEndless(job)) {
    return {
      heed: (work) => work(stopping),
      orLeave: (work) => work,
      stopping,
      isOvertaken: () => false,
      goesOn,
      close: () => {},
    };
  }
  // Its own, so that a ring between two looks at the wish is remembered and takes none from the attempt's waits.
  const ear = bell.listen(job.permitId);
  const breaking = new AbortController();
  const stop = (): void => breaking.abort();
  if (stopping.aborted) stop();
  stopping.addEventListener("abort", stop, { once: true });
  let isOvertaken = false;

  async function listen(over: AbortSignal): Promise<void> {
    while (!isOvertaken) {
      await ear.wait(ASK_MS, over);
      if (over.aborted) return;
      // A store that fails is asked again; meanwhile no halt can come to be recorded either.
      isOvertaken = await ledger.overtaken().catch(() => false);
    }
    breaking.abort();
  }

  return {
    async heed<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
      const over = new AbortController();
      const listening = listen(over.signal);
      try {
        return await work(breaking.signal);
      } finally {
        over.abort();
        await listening;
      }
    },
    async orLeave<T>(work: Promise<T>): Promise<T> {
      const left = Promise.withResolvers<never>();
      const leave = (): void => {
        if (isOvertaken) {
          left.reject(new Fault("retry", "superseded", "Cannot wait: something newer goes first"));
        }
      };
      breaking.signal.addEventListener("abort", leave, { once: true });
      if (breaking.signal.aborted) leave();
      try {
        return await Promise.race([work, left.promise]);
      } finally {
        breaking.signal.removeEventListener("abort", leave);
        work.catch(() => {}); // of what was left nobody asks
      }
    },
    stopping,
    isOvertaken: () => isOvertaken,
    goesOn,
    close(): void {
      ear.close();
      stopping.removeEventListener("abort", stop);
    },
  };
}
