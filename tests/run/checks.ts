import type { Count } from "./tally.ts";
import { allSources, programSources, rootFolder } from "./sources.ts";

interface Check {
  name: string;
  args: string[];
}

/** How many checks run at once: they are processes of one or two busy threads, on two cores. */
const AT_ONCE = 2;

/**
 * Formatting, lint, types and documentation of all sources, each one counted as one test.
 * What a failed check says is printed whole; a passed one says one line.
 */
export async function runChecks(): Promise<Count> {
  const checks: Check[] = [
    { name: "types", args: ["check", ...allSources()] },
    { name: "format", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
    { name: "docs", args: ["doc", "--lint", ...programSources()] },
  ];
  const count: Count = { passed: 0, failed: 0, skipped: 0 };
  const work = async (): Promise<void> => {
    for (let check = checks.shift(); check !== undefined; check = checks.shift()) {
      if (await passes(check)) count.passed++;
      else count.failed++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return count;
}

async function passes({ name, args }: Check): Promise<boolean> {
  const begun = performance.now();
  const output = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: rootFolder(),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(`${name} ... ${output.success ? "ok" : "FAILED"} (${seconds} s)`);
  if (!output.success) {
    // `deno doc` prints the documentation itself on stdout; what is wrong is on stderr
    if (name !== "docs") await Deno.stdout.write(output.stdout);
    await Deno.stderr.write(output.stderr);
  }
  return output.success;
}
