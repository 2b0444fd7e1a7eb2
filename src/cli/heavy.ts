/**
 * Modules that a client command must not pay for. Deno reads the whole graph behind every import() whose specifier it
 * can see, used or not: 27 of 110 ms of `wps status`. So these are named in a way that it cannot see, and
 * deploy/compile.ts includes them by name.
 */

/** Each by its path from here. */
interface Heavy {
  "../app.ts": typeof import("../app.ts");
  "./demo.ts": typeof import("./demo.ts");
  "./serve.ts": typeof import("./serve.ts");
  "./setup.ts": typeof import("./setup.ts");
  "../phases/describe.ts": typeof import("../phases/describe.ts");
  "../store/site_key.ts": typeof import("../store/site_key.ts");
}

/** Loads one of them. */
export async function loadHeavy<Name extends keyof Heavy>(name: Name): Promise<Heavy[Name]> {
  const module: Heavy[Name] = await import(new URL(name, import.meta.url).href);
  return module;
}

/** Where each lies, from the repository's folder. */
const FILES: Record<keyof Heavy, string> = {
  "../app.ts": "src/app.ts",
  "./demo.ts": "src/cli/demo.ts",
  "./serve.ts": "src/cli/serve.ts",
  "./setup.ts": "src/cli/setup.ts",
  "../phases/describe.ts": "src/phases/describe.ts",
  "../store/site_key.ts": "src/store/site_key.ts",
};

/** All of them from the repository's folder, for `deno compile --include`. */
export const HEAVY_MODULES: readonly string[] = Object.values(FILES);
