/**
 * The lab's memory between runs of the service: one JSON file. WPS treats a known volume that is absent as lost, so
 * a service that restarts on the lab must find its cluster again.
 */
import { Fault } from "../../core/fault.ts";
import type { LabCluster } from "./cluster.ts";
import { type LabState, parseLabState } from "./objects.ts";

/** Where the snapshot lies; injected, so that a simulation can give a disk of its own. */
export interface SnapshotFile {
  /** For messages. */
  name: string;
  /** The last text written; null: none was ever. */
  read(): Promise<string | null>;
  /** Replaces the text as a whole, or fails and leaves the old one. */
  write(text: string): Promise<void>;
}

/** A file on disk, replaced by rename. */
export function snapshotAt(path: string): SnapshotFile {
  return {
    name: path,
    read: async () => {
      try {
        return await Deno.readTextFile(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      }
    },
    write: async (text) => {
      const beside = `${path}.new`;
      await Deno.writeTextFile(beside, text, { mode: 0o600 });
      await Deno.rename(beside, path);
    },
  };
}

/** The cluster of an earlier run; null: there was none. Throws a stalled Fault when the file is not one of ours. */
export async function loadLab(file: SnapshotFile): Promise<LabState | null> {
  const text = await file.read();
  if (text === null) return null;
  const advice = `Remove ${file.name} to begin with an empty lab; its simulated data is lost then`;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new Fault("stalled", "invalid", `Cannot read the lab from ${file.name}: it is not JSON`, {
      advice,
      cause,
    });
  }
  const state = parseLabState(json);
  if (!("error" in state)) return state;
  throw new Fault("stalled", "invalid", `Cannot read the lab from ${file.name}: ${state.error}`, { advice });
}

/**
 * Keeps a cluster in a file. The returned function resolves once everything that had changed when it was called is
 * written; calls meanwhile share the next write. A failed write rejects its callers with a retry Fault.
 */
export function keepLab(cluster: LabCluster, file: SnapshotFile): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;
  const write = async (): Promise<void> => {
    next = null;
    try {
      await file.write(cluster.toJson());
    } catch (cause) {
      throw new Fault("retry", "unavailable", `Cannot write the lab to ${file.name}`, {
        advice: `Make room for ${file.name} and let the service write there`,
        cause,
      });
    }
  };
  return () => {
    if (next === null) {
      next = running.then(write);
      running = next.catch(() => {});
    }
    return next;
  };
}
