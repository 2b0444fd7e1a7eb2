/** Reading a site's files; the loaders take it as a parameter, the command line passes {@link disk}. */
import { access, constants } from "node:fs/promises";
import type { Inspect } from "./places.ts";

/** What the loaders need of a file system. */
export interface FileReader {
  /** Names (not paths) of the files in a folder, in no order. Rejects when it cannot be read. */
  list(directory: string): Promise<string[]>;
  /** A file's text as UTF-8. Rejects when it cannot be read. */
  read(path: string): Promise<string>;
}

/** What lies at a path of this machine; see {@link Inspect}. */
export const inspectDisk: Inspect = async (path) => {
  try {
    const { isFile, isDirectory, mode } = await Deno.stat(path);
    const kind = isFile ? "file" : isDirectory ? "folder" : "other";
    return { kind, mode, isWritable: await isWritable(path) };
  } catch {
    return null;
  }
};

async function isWritable(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** This machine's file system. */
export const disk: FileReader = {
  async list(directory: string): Promise<string[]> {
    const names: string[] = [];
    for await (const entry of Deno.readDir(directory)) {
      // Kubernetes mounts a ConfigMap's files as symbolic links.
      if (entry.isFile || entry.isSymlink) names.push(entry.name);
    }
    return names;
  },
  read: (path: string): Promise<string> => Deno.readTextFile(path),
};

/** Why a file could not be read, in a few words that never quote its content. */
export function readFailure(thrown: unknown): string {
  if (thrown instanceof Deno.errors.NotFound) return "it does not exist";
  if (thrown instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (thrown instanceof Deno.errors.NotCapable) {
    return "this process was started without permission to read it";
  }
  if (thrown instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (thrown instanceof Deno.errors.NotADirectory) return "it is not a folder";
  return thrown instanceof Error ? thrown.name : "unknown failure";
}
