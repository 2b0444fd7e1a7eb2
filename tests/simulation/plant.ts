/** Sources with one bug written in, in a folder of their own: shipped code has no switches. */
import { playAll } from "./pool.ts";
import type { Planted } from "./planted.ts";
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
  seconds: number;
}

/**
 * Plays seeds on sources with the bug until one fails. Throws an Error when the bug's text does not stand exactly once in
 * its file: then it no longer says anything.
 */
export async function hunt(
  bug: Planted,
  seeds: readonly string[],
  { root, workers, faults }: { root: string; workers: number; faults: WireSpec["faults"] },
): Promise<Verdict> {
  const begun = performance.now();
  const folder = await Deno.makeTempDir({ prefix: "wps-planted-" });
  const queue = [...seeds];
  const over = new AbortController();
  let played = 0;
  let caught: Verdict["caught"] = null;
  try {
    await copySources(root, folder);
    await plant(bug, folder);
    const next = (): WireSpec | null => {
      const seed = caught === null ? queue.shift() : undefined;
      return seed === undefined ? null : { seed, faults, without: [] };
    };
    await playAll({ workers, root: `${folder}/`, signal: over.signal }, next, ({ seed, failures }) => {
      played++;
      const [failure] = failures;
      if (failure === undefined || caught !== null) return;
      caught = { seed, failure };
      over.abort();
    });
    return { name: bug.name, caught, seeds: played, seconds: (performance.now() - begun) / 1000 };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The text of a bug's file with the bug in it. Throws an Error when what it changes does not stand there exactly once. */
export function planted({ name, file, find, replace }: Planted, text: string): string {
  const times = text.split(find).length - 1;
  if (times !== 1) {
    throw new Error(`Cannot plant "${name}": its text stands ${times} times in ${file}, expected once`);
  }
  return text.replace(find, () => replace);
}

async function plant(bug: Planted, folder: string): Promise<void> {
  const path = `${folder}/${bug.file}`;
  await Deno.writeTextFile(path, planted(bug, await Deno.readTextFile(path)));
}

async function copySources(root: string, folder: string): Promise<void> {
  for (const name of COPIED) {
    if (name === "tests") {
      await copyFolder(`${root}tests`, `${folder}/tests`, (entry) => TESTS_KEPT.test(entry));
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
