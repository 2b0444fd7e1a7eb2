import { readDocLint } from "./docs.ts";
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
    { name: "types", args: ["check", "--quiet", ...allSources()] },
    { name: "format", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
    { name: "docs", args: ["doc", "--quiet", "--lint", ...programSources()] },
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
    env: { NO_COLOR: "1" }, // docs are read by us
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const complaint = output.success ? "" : complaintOf(name, output);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(`${name} ... ${complaint === "" ? "ok" : "FAILED"} (${seconds} s)`);
  if (complaint !== "") console.error(complaint);
  return complaint === "";
}

/** What a failed check says; empty when none of it is asked for here. */
function complaintOf(name: string, output: Deno.CommandOutput): string {
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (name !== "docs") return `${stdout}${stderr}`;
  const files = new Map<string, string[]>();
  const undocumented = readDocLint(stderr ?? "", (file, line) => {
    const lines = files.get(file) ?? Deno.readTextFileSync(file).split("\n");
    files.set(file, lines);
    return lines[line - 1] ?? "";
  });
  if (undocumented === undefined) return stderr ?? "";
  return undocumented.map(({ file, line }) => `${file}:${line} is exported without a doc comment`).join("\n");
}
