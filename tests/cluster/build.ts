const HERE = import.meta.dirname ?? ".";

/** How a build ended: everything there; parts that this machine lacks; or a failure. */
export type BuildOutcome =
  | { kind: "ready"; seconds: number }
  | { kind: "missing"; why: string }
  | { kind: "failed"; why: string };

/** A build that runs beside other work. */
export interface Build {
  /** Settles when the build ended; never rejects. */
  done: Promise<BuildOutcome>;
  /** What it printed so far, one line each. */
  lines: string[];
  /** Ends the build early, compilers included. */
  stop(): Promise<void>;
}

/**
 * Starts building the test cluster, with low priority so that tests running meanwhile keep the cores.
 *
 * With CI=true it installs missing Debian packages; elsewhere it installs nothing and reports them as
 * missing, because a test command must not change somebody's machine.
 */
export function startBuildInBackground(): Build {
  const begun = Date.now();
  const lines: string[] = [];
  const packages = Deno.env.get("CI") === "true" ? [] : ["--no-packages"];
  const child = new Deno.Command("setsid", {
    args: ["nice", "-n", "15", "bash", "-c", 'exec "$0" "$@" 2>&1', `${HERE}/build.sh`, ...packages],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const done = (async (): Promise<BuildOutcome> => {
    await collect(child.stdout, lines);
    const { code } = await child.status;
    const why = lines.slice(-20).join("\n");
    if (code === 0) return { kind: "ready", seconds: Math.round((Date.now() - begun) / 1000) };
    return code === 3 ? { kind: "missing", why } : { kind: "failed", why };
  })();
  return {
    done,
    lines,
    stop: async (): Promise<void> => {
      try {
        Deno.kill(-child.pid, "SIGTERM"); // the whole group: make, compilers
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      await done;
    },
  };
}

async function collect(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  }
  if (rest !== "") lines.push(rest);
}
