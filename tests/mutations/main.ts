// deno task mutations [WORD…]: writes each wrong decision into a copy of the sources, and lets the tests find it.
import { copySources, edited } from "../simulation/plant.ts";
import { type Mutation, MUTATIONS } from "./mutations.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** What the driver's tests import. */
const TESTS_KEPT = /^(drivers|conformance|core|cluster|real|simulation|\w+\.ts)$/;
/** A file of tests takes a second. */
const TESTS_MAX_MS = 120_000;

/** The names of the tests that fail, or null: the tests could not be run. */
async function failing(folder: string, tests: readonly string[]): Promise<string[] | null> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...tests.map((name) => `tests/drivers/kubernetes/${name}_test.ts`)],
    cwd: folder,
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(TESTS_MAX_MS),
    stdout: "piped",
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (!/^(ok|FAILED) \| \d+ passed/m.test(text) || /\(uncaught error\)/.test(text)) return null;
  const names = [...text.matchAll(/^(.*) \.\.\. FAILED/gm)].map(([, name = ""]) => name);
  return (code === 0) === (names.length === 0) ? names : null;
}

/** What became of it, in words; null: it was caught. */
async function missed(mutation: Mutation, folder: string): Promise<string | null> {
  const { name, file, tests, fails } = mutation;
  const path = `${folder}/${file}`;
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, edited(name, mutation, text));
  try {
    const failed = await failing(folder, [tests]);
    if (failed === null) return "the tests could not be run with it";
    if (failed.some((test) => fails.test(test))) return null;
    return failed.length === 0 ? "no test failed" : `other tests failed: ${failed.join(", ")}`;
  } finally {
    await Deno.writeTextFile(path, text);
  }
}

async function run(wanted: readonly Mutation[]): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "wps-mutations-" });
  try {
    await copySources(ROOT, folder, (entry) => TESTS_KEPT.test(entry));
    const unplanted = await failing(folder, [...new Set(wanted.map(({ tests }) => tests))]);
    if (unplanted === null || unplanted.length > 0) {
      console.error(
        `The tests fail without any mutation: ${unplanted?.join(", ") ?? "they could not be run"}`,
      );
      return false;
    }
    let caught = 0;
    for (const mutation of wanted) {
      const why = await missed(mutation, folder);
      if (why === null) caught++;
      console.log(`${mutation.name.padEnd(72)} ${why === null ? "caught" : `NOT CAUGHT: ${why}`}`);
    }
    console.log(`${caught} of ${wanted.length} mutations caught`);
    return wanted.length > 0 && caught === wanted.length;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const words = Deno.args;
const chosen = MUTATIONS.filter(({ name }) =>
  words.length === 0 || words.some((word) => name.includes(word))
);
Deno.exit(await run(chosen) ? 0 : 1);
