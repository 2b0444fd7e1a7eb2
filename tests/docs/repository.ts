/** A file of this repository as text; `path` is relative to its root. */
export function readRepository(path: string): string {
  return Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));
}
