/** What somebody in a workspace tries. `by` is the workspace's key. */
import type { Probe } from "./act.ts";

/** Writes a file, which must work. */
export function writes(by: string, path: string, text: string): Probe {
  return { by, does: "write", path, text };
}

/** Reads a file, which must hold this text. */
export function reads(by: string, path: string, text: string): Probe {
  return { by, does: "read", path, text };
}

/** Tries to write, which must fail. */
export function cannotWrite(by: string, path: string): Probe {
  return { by, does: "write", path, text: null };
}

/** Tries to read, which must fail. */
export function cannotRead(by: string, path: string): Probe {
  return { by, does: "read", path, text: null };
}
