/** Folders as the volumes of a consolidation are, and consolidate.sh run on them as its Job does. */
import assert from "node:assert/strict";

export const BUSYBOX = "/bin/busybox";
export const SCRIPT = new URL("../../src/drivers/kubernetes/consolidate.sh", import.meta.url).pathname;
export const HOLDER = 21001, GROUP = 30100;
export const FOLDER = "hospital-a/batch-1";
/** Needs root, to run as somebody else, and Debian's busybox-static. */
export const ignore = Deno.uid() !== 0 || !exists(BUSYBOX);

/** Whether there is something of that path. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Paths of the folders; disposing of it removes them. */
export interface Volumes extends AsyncDisposable {
  root: string;
  uploads: string;
  raw: string;
  scratch: string;
  bin: string;
}

/** A folder with an owner and a mode; its path. */
export async function folder(path: string, uid: number, gid: number, mode: number): Promise<string> {
  await Deno.mkdir(path);
  await Deno.chown(path, uid, gid);
  await Deno.chmod(path, mode);
  return path;
}

/** Uploads of the holder, a raw volume of the permit's group as kubelet hands it over, and BusyBox alone in PATH. */
export async function volumes(): Promise<Volumes> {
  const root = await Deno.makeTempDir({ prefix: "wps-consolidate-" });
  await Deno.chmod(root, 0o755);
  const bin = await folder(`${root}/bin`, 0, 0, 0o755);
  const output = await new Deno.Command(BUSYBOX, { args: ["--install", "-s", bin] }).output();
  assert.ok(output.success);
  return {
    root,
    uploads: await folder(`${root}/uploads`, HOLDER, HOLDER, 0o755),
    raw: await folder(`${root}/raw`, 0, GROUP, 0o2770),
    scratch: await folder(`${root}/scratch`, HOLDER, HOLDER, 0o700),
    bin,
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

/** Writes a file of the holder's below the uploads, and the folders above it. */
export async function upload({ uploads }: Volumes, name: string, text: string, mode = 0o640): Promise<void> {
  const parts = name.split("/").slice(0, -1);
  for (let depth = 1; depth <= parts.length; depth++) {
    const parent = `${uploads}/${parts.slice(0, depth).join("/")}`;
    await Deno.mkdir(parent, { recursive: true });
    await Deno.chown(parent, HOLDER, HOLDER);
  }
  await Deno.writeTextFile(`${uploads}/${name}`, text);
  await Deno.chown(`${uploads}/${name}`, HOLDER, HOLDER);
  await Deno.chmod(`${uploads}/${name}`, mode);
}

/** How a run ended. */
export interface Outcome {
  code: number;
  report: string;
}

/**
 * The command that runs a script as the Job does: as the holder, in the permit's group, with nothing but BusyBox.
 * `before`: what runs all that in turn, as root.
 */
export function asPod(
  { uploads, raw, scratch, bin }: Volumes,
  { folder = FOLDER, accepted = "", before = [], script = SCRIPT }: {
    folder?: string;
    accepted?: string;
    before?: string[];
    script?: string;
  } = {},
): Deno.Command {
  const holder = [`--reuid=${HOLDER}`, `--regid=${HOLDER}`, `--groups=${GROUP}`, "--inh-caps=-all"];
  const [program, ...args] = [...before, "/usr/bin/setpriv", ...holder, `${bin}/sh`, script];
  return new Deno.Command(program ?? "", {
    args,
    clearEnv: true,
    env: {
      PATH: bin,
      SOURCE: uploads,
      TARGET: raw,
      FOLDER: folder,
      GROUP: `${GROUP}`,
      SCRATCH: scratch,
      REPORT: `${scratch}/report`,
      ACCEPTED: accepted,
    },
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs the script to its end. */
export async function consolidate(
  given: Volumes,
  folder = FOLDER,
  accepted = "",
  script = SCRIPT,
): Promise<Outcome> {
  const output = await asPod(given, { folder, accepted, script }).output();
  const said = new TextDecoder().decode(output.stderr);
  const report = await Deno.readTextFile(`${given.scratch}/report`).catch(() => `no report: ${said}`);
  return { code: output.code, report };
}

/** Paths of all below a folder, sorted; those of folders end in a slash. */
export async function filesBelow(folder: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(`${folder}/${prefix}`)) {
    const path = `${prefix}${entry.name}`;
    found.push(entry.isDirectory ? `${path}/` : path);
    if (entry.isDirectory) found.push(...await filesBelow(folder, `${path}/`));
  }
  return found.sort();
}

/** A small volume in memory in place of a folder, until it is disposed of. */
export async function tmpfsOn(path: string, size: string): Promise<AsyncDisposable> {
  const args = ["-t", "tmpfs", "-o", `size=${size},mode=2770,gid=${GROUP}`, "tmpfs", path];
  const mounted = await new Deno.Command("/bin/mount", { args }).output();
  assert.ok(mounted.success, "root may mount");
  return {
    [Symbol.asyncDispose]: async () => {
      await new Deno.Command("/bin/umount", { args: [path] }).output();
    },
  };
}
