/** What a proof of isolation says (DESIGN 8): plain data, kept and shown as it is. */

/** One time that the control pod tried the canaries. Times are ISO 8601, UTC. */
export interface ControlEvidence {
  at: string;
  alive: string[];
  silent: string[];
}

/** What a proof tried and saw (DESIGN 8); plain data of at most 4096 bytes as JSON, kept and shown as it is. */
export interface IsolationEvidence {
  /** The gate of the instance itself, or a probe beside it while it runs, or the gate of a consolidation. */
  method: "gate" | "probe" | "task";
  pod: { name: string; uid: string; node: string | null };
  /** Each target and how reaching it ended in the last round: "timed out", "refused", "no route", "reached". */
  targets: { target: string; outcome: string }[];
  /** Rounds in all, and how many in a row at the end reached nothing. */
  rounds: number;
  cleanRounds: number;
  begunAt: string;
  endedAt: string;
  /** `after` is null for a consolidation: nobody is let in to it, so nothing waits for a second answer. */
  control: { before: ControlEvidence | null; after: ControlEvidence | null };
  /** The policies that were in force, as read back: how many, and a hash of what they say. */
  policies: { count: number; hash: string };
}
