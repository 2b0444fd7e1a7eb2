/** What an act of the demo is: one event, and what must really be so after it. */
import type { EventType } from "../../core/event.ts";
import type { Status } from "../../core/status.ts";

/** A workspace that must run, as the cluster has it. */
export interface ExpectedWorkspace {
  key: string;
  username: string;
  /** Null: leased from the site's range. */
  uid: number | null;
  /** Nothing leaves and only the gateway comes in; or the proxy alone is reached; or only these addresses come in. */
  network: "isolated" | "proxied" | { only: readonly string[] };
  mounts: readonly ExpectedMount[];
}

/** One mount by path. The airlock's write-only mount is `rw` to the kernel; a probe shows that nobody reads there. */
export interface ExpectedMount {
  path: string;
  volume: string;
  mode: "ro" | "rw";
}

/** Everything that must exist, and nothing else. */
export interface ExpectedTruth {
  running: readonly ExpectedWorkspace[];
  /** Without a pod, kept to run again. */
  stopped: readonly string[];
  volumes: readonly string[];
  /** Of those, the ones that invariant 3 made sensitive. */
  tainted: readonly string[];
}

/** Somebody tries something from inside their workspace. */
export interface Probe {
  by: string;
  does: "write" | "read";
  path: string;
  /** What is written, or what must be read; null: it must be refused. */
  text: string | null;
}

/** A folder of a volume that must hold these files, whole, with a manifest of their checksums beside it. */
export interface ExpectedBatch {
  volume: string;
  folder: string;
  files: Readonly<Record<string, string>>;
}

/** A file that must lie on a volume, whoever mounts it. */
export interface ExpectedFile {
  volume: string;
  path: string;
  text: string;
}

/** One act. */
export interface Act {
  /** For people: what happens. */
  title: string;
  /** Why, in one sentence. */
  story: string;
  event: { type: EventType; data: Record<string, unknown> };
  truth: ExpectedTruth;
  probes: readonly Probe[];
  batches: readonly ExpectedBatch[];
  kept?: readonly ExpectedFile[];
  /** The blueprint's first answer. */
  status: Status;
  /** Whose connection is asked for, the blueprint's second answer; null: nobody can connect, so 409 is expected. */
  connects: string | null;
  /** The Permit Manager sends the event once more: a duplicate, which changes nothing. */
  repeats?: boolean;
}
