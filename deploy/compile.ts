/**
 * Builds dist/wps with `deno compile` and tries it: version, built-in phases, and the whole demo. `deno compile`
 * fetches its runtime (denort) once; where that cannot be reached this says so in one line and ends with 1.
 */

import { HEAVY_MODULES } from "../src/cli/heavy.ts";

/** Folders and files that the program reads at run time through import.meta. */
export const DATA: readonly string[] = [
  "phases",
  "migrations",
  "src/drivers/kubernetes/consolidate.sh",
  "src/drivers/kubernetes/gate.sh",
];

/**
 * What the service needs, and no more: never to start another program. Network, files and environment are whole,
 * because addresses, folders and variables come from the configuration of the site, which is read later; the
 * systemd unit narrows them. ffi is for libSQL, sys for what its loader asks of the machine.
 */
export const PERMISSIONS: readonly string[] = [
  "--no-prompt",
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-ffi",
  "--allow-sys=cpus,networkInterfaces,hostname,uid,gid",
];

/**
 * V8 collects young objects early and keeps its code small: 100 permits on Kubernetes left 271 MiB resident without
 * these and 140 MiB with them, at the same speed (`deno task bench resume`).
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=4,--optimize-for-size";

/** libSQL picks its native package by a computed name, which `deno compile` cannot see. */
const NATIVE = "npm:@libsql/linux-x64-gnu";
const OUTPUT = "dist/wps";

/** The arguments of `deno compile`. */
export function compileArguments(): string[] {
  const included = [...DATA, ...HEAVY_MODULES, NATIVE].flatMap((item) => ["--include", item]);
  return ["compile", V8_FLAGS, ...PERMISSIONS, ...included, "--output", OUTPUT, "main.ts"];
}

/** One line for a failure of `deno compile`: whether its runtime was out of reach, or the program is at fault. */
export function explainFailure(stderr: string): string {
  const runtime = /https:\/\/\S*denort\S*?\.zip/.exec(stderr)?.[0];
  if (runtime === undefined) return "Cannot compile: see the message above";
  return `Cannot compile: the runtime ${runtime} cannot be fetched from here; run it where that is reachable, or ` +
    `set DENORT_BIN to a denort of deno ${Deno.version.deno}`;
}

async function run(program: string, args: string[], show: boolean): Promise<{ ok: boolean; stderr: string }> {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    cwd: new URL("..", import.meta.url),
    stdout: show ? "inherit" : "null",
    stderr: "piped",
  }).output();
  return { ok: success, stderr: new TextDecoder().decode(stderr) };
}

async function main(): Promise<number> {
  const compiled = await run(Deno.execPath(), compileArguments(), true);
  if (!compiled.ok) {
    const line = explainFailure(compiled.stderr);
    console.error(line.includes("see the message above") ? `${compiled.stderr}\n${line}` : line);
    return 1;
  }
  for (const args of [["version"], ["phases", "check"], ["demo", "--json"]]) {
    const tried = await run(new URL(`../${OUTPUT}`, import.meta.url).pathname, args, false);
    if (tried.ok) continue;
    console.error(`${tried.stderr}\nCannot use what was compiled: wps ${args.join(" ")} failed, see above`);
    return 1;
  }
  console.log(`${OUTPUT} is built; its version, phases and demo were tried`);
  return 0;
}

if (import.meta.main) Deno.exit(await main());
