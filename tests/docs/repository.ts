/** The files of this repository; paths are relative to its root. */
const ROOT = new URL("../../", import.meta.url);

/** A file as text. */
export function readRepository(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** The files directly in a folder, sorted. */
export function listRepository(folder: string): string[] {
  const files = [...Deno.readDirSync(new URL(folder, ROOT))].filter(({ isFile }) => isFile);
  return files.map(({ name }) => `${folder}/${name}`).sort();
}

/** Whether a file or folder is there. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(new URL(path, ROOT));
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}
