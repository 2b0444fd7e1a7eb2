/** Sources with one bug written in, in a folder of their own: shipped code has no switches. */
import { playAll } from "./pool.ts";
import type { Edit, Planted } from "./planted.ts";
import type { WireSpec } from "./wire.ts";

/** What a planted program needs beside its sources. */
const COPIED = ["deno.json", "deno.lock", "src", "phases", "migrations", "main.ts", "tests"];
/** Of the tests only the simulation and what it imports. */
const TESTS_KEPT = /^(simulation|conformance|core|seeded_random\.ts|fake_clock\.ts|isolation_evidence\.ts)$/;

/** How a bug fared. */
export interface Verdict {
  name: string;
  /** The seed that found it, and what it said; null: none did. */
  caught: { seed: string; failure: string } | null;
  /** Seeds that were played. */
  seeds: number;
  /** Of these, how many failed in another way than the bug is expected to show. */
  otherwise: number;
  seconds: number;
}

/** What a hunt is made with. */
export interface HuntOptions {
  root: string;
  workers: number;
  faults: WireSpec["faults"];
}

/**
 * Plays seeds on sources with the bug until a run that came to its end fails as the bug is expected to show, while the
 * same seed passes without the bug. Throws an Error for what proves nothing: a text that does not stand exactly once in
 * its file, sources that do not type-check with it, a run that died or hung, a seed that fails without the bug, too.
 */
export async function hunt(bug: Planted, seeds: readonly string[], options: HuntOptions): Promise<Verdict> {
  const begun = performance.now();
  const folder = await Deno.makeTempDir({ prefix: "wps-planted-" });
  try {
    await copySources(options.root, folder, (entry) => TESTS_KEPT.test(entry));
    await plant(bug, folder);
    await assertChecks(bug, folder);
    const found = await search(bug, seeds, folder, options);
    if (found.caught !== null) await assertBaseline(bug, found.caught.seed, options);
    return { name: bug.name, ...found, seconds: (performance.now() - begun) / 1000 };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function search(
  { name, expects }: Planted,
  seeds: readonly string[],
  folder: string,
  { workers, faults }: HuntOptions,
): Promise<Pick<Verdict, "caught" | "seeds" | "otherwise">> {
  const queue = [...seeds];
  const over = new AbortController();
  const found: Pick<Verdict, "caught" | "seeds" | "otherwise"> = { caught: null, seeds: 0, otherwise: 0 };
  let broken: string | null = null;
  const next = (): WireSpec | null => {
    const seed = found.caught === null && broken === null ? queue.shift() : undefined;
    return seed === undefined ? null : { seed, faults, without: [] };
  };
  await playAll({ workers, root: `${folder}/`, signal: over.signal }, next, (result) => {
    if (over.signal.aborted) return;
    found.seeds++;
    const failure = result.failures.find((text) => expects.test(text));
    if (!result.completed) broken = `seed ${result.seed}: ${result.failures[0]}`;
    else if (failure !== undefined) found.caught = { seed: result.seed, failure };
    else if (result.failures.length > 0) found.otherwise++;
    if (broken !== null || found.caught !== null) over.abort();
  });
  if (broken !== null) throw new Error(`Cannot hunt "${name}": ${broken}`);
  return found;
}

/** The same seed on the sources as they are: whatever fails there, too, is not the bug's doing. */
async function assertBaseline({ name }: Planted, seed: string, { root, faults }: HuntOptions): Promise<void> {
  const queue: WireSpec[] = [{ seed, faults, without: [] }];
  const signal = new AbortController().signal;
  let failure: string | null = null;
  await playAll({ workers: 1, root, signal }, () => queue.shift() ?? null, ({ failures }) => {
    failure = failures[0] ?? null;
  });
  if (failure !== null) {
    throw new Error(`Cannot hunt "${name}": seed ${seed} fails without it, too: ${failure}`);
  }
}

async function assertChecks({ name }: Planted, folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", `${folder}/tests/simulation/worker.ts`],
    cwd: folder,
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  const text = new TextDecoder().decode(stderr);
  throw new Error(`Cannot plant "${name}": the sources do not type-check with it: ${text.slice(0, 800)}`);
}

/** The text of a file with an edit in it. Throws an Error when what it changes does not stand there exactly once. */
export function edited(name: string, { file, find, replace }: Edit, text: string): string {
  const times = text.split(find).length - 1;
  if (times !== 1) {
    throw new Error(`Cannot plant "${name}": its text stands ${times} times in ${file}, expected once`);
  }
  return text.replace(find, () => replace);
}

/** All edits of a bug. */
export function editsOf({ file, find, replace, also = [] }: Planted): Edit[] {
  return [{ file, find, replace }, ...also];
}

async function plant(bug: Planted, folder: string): Promise<void> {
  for (const edit of editsOf(bug)) {
    const path = `${folder}/${edit.file}`;
    await Deno.writeTextFile(path, edited(bug.name, edit, await Deno.readTextFile(path)));
  }
}

/** Copies a program into an empty folder: of its tests what `keeps` says of each file and folder right in `tests`. */
export async function copySources(
  root: string,
  folder: string,
  keeps: (entry: string) => boolean,
): Promise<void> {
  for (const name of COPIED) {
    if (name === "tests") {
      await copyFolder(`${root}tests`, `${folder}/tests`, keeps);
    } else if ((await Deno.stat(root + name)).isDirectory) await copyFolder(root + name, `${folder}/${name}`);
    else await Deno.copyFile(root + name, `${folder}/${name}`);
  }
}

async function copyFolder(
  from: string,
  to: string,
  keeps: (entry: string) => boolean = () => true,
): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (!keeps(name)) continue;
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}
