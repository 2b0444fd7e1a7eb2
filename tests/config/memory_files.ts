/** Files in memory, as the loaders see them. */
import type { FileReader } from "../../src/config/disk.ts";

/** A file system with exactly these files: path → text. A folder exists when a file lies in it. */
export function memoryFiles(files: Readonly<Record<string, string>>): FileReader {
  return {
    list: (directory) => {
      const prefix = `${directory.replace(/\/+$/, "")}/`;
      const names = Object.keys(files).filter((path) => path.startsWith(prefix))
        .map((path) => path.slice(prefix.length)).filter((name) => !name.includes("/"));
      if (names.length === 0) return Promise.reject(new Deno.errors.NotFound(directory));
      return Promise.resolve(names);
    },
    read: (path) => {
      const text = files[path];
      return text === undefined ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve(text);
    },
  };
}
