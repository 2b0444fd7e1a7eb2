import { countReport } from "./tally.ts";
import type { Count } from "./tally.ts";
import { writeShards } from "./shards.ts";
import { rootFolder } from "./sources.ts";

/** What one call of `deno test` needs. */
export interface DenoTest {
  files: string[];
  filter: string | undefined;
  seed: number;
  env: Record<string, string>;
  /** One dot or one line per test; failures are told whole either way. */
  reporter: "dot" | "pretty";
  /** How many files run beside each other: more than one only where none disturbs another. */
  jobs: number;
  /** Whether files are loaded together, as many parts as `jobs`: only where none minds what another one loaded. */
  together: boolean;
  /** Ends the tests early. */
  signal: AbortSignal;
  /** The longest the tests may take altogether; then they are ended and count as failed. */
  limitMs: number;
}

/**
 * Runs test files under leak checks and in shuffled order, their output going to the terminal.
 * Types are not checked here: the `ok` tier did that for all sources at once.
 */
export async function runDenoTest(
  { files, filter, seed, env, reporter, jobs, together, signal, limitMs }: DenoTest,
): Promise<Count> {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  await using shards = together ? await writeShards(files, jobs) : null;
  const report = await Deno.makeTempFile({ prefix: "wps-test-", suffix: ".xml" });
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), limitMs);
  try {
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["test", "-A", "--no-check", "--config=deno.json", "--sanitize-ops", "--sanitize-resources"],
        ...[`--shuffle=${seed}`, `--reporter=${reporter}`, `--junit-path=${report}`],
        ...(jobs === 1 ? [] : ["--parallel"]),
        ...(filter === undefined ? [] : [`--filter=${filter}`]),
        ...(shards?.paths ?? files),
      ],
      env: { ...env, DENO_JOBS: `${jobs}` },
      cwd: rootFolder(),
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
      signal: AbortSignal.any([limit.signal, signal]),
    }).output();
    if (limit.signal.aborted) {
      console.error(`Ended the tests after ${limitMs / 1000} s, the longest they may take`);
    }
    return countReport(await Deno.readTextFile(report), success);
  } finally {
    clearTimeout(timer);
    await Deno.remove(report);
  }
}
