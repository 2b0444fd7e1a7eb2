import { until } from "./until.ts";

/** A server program that tests start: what to run, with which environment, and where its output goes. */
export interface DaemonSpec {
  name: string;
  command: string;
  args: string[];
  env: Record<string, string>;
  logPath: string;
  /** Temporary folder that goes when the test process dies without stopping the server. */
  folder: string;
}

/**
 * A server process in a process group of its own, detached from the test process.
 *
 * Deno holds no resource for it, so a daemon may outlive one test and be restarted in another under leak
 * checks. A small watcher kills the group and removes its folder should the test process die without stopping it.
 */
export class Daemon {
  readonly #spec: DaemonSpec;
  /** Also the process group's id. */
  readonly pid: number;
  readonly #startTime: string;
  readonly #watcherPid: number;

  private constructor(spec: DaemonSpec, pid: number, startTime: string, watcherPid: number) {
    this.#spec = spec;
    this.pid = pid;
    this.#startTime = startTime;
    this.#watcherPid = watcherPid;
  }

  /** Starts the program. Throws when it cannot be started; whether it serves is the caller's question. */
  static async start(spec: DaemonSpec): Promise<Daemon> {
    // setsid forks only when it leads a group already, which a background job of a script does not:
    // $! is the server itself.
    const script = `
      log=$1; owner=$2; folder=$3; shift 3
      setsid "$@" >>"$log" 2>&1 </dev/null &
      server=$!
      setsid sh -c 'tail --pid="$1" -f /dev/null; kill -9 "-$2"; rm -rf "$3"' watcher "$owner" "$server" "$folder" >/dev/null 2>&1 </dev/null &
      echo "$server $!"`;
    const output = await new Deno.Command("sh", {
      args: ["-c", script, "daemon", spec.logPath, `${Deno.pid}`, spec.folder, spec.command, ...spec.args],
      // what the machine sets for its own servers must not reach ours
      clearEnv: true,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8", ...spec.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const [pid, watcherPid] = new TextDecoder().decode(output.stdout).trim().split(" ").map(Number);
    if (!output.success || pid === undefined || watcherPid === undefined) {
      throw new Error(`Cannot start ${spec.name}: ${new TextDecoder().decode(output.stderr)}`);
    }
    // until setsid has run they belong to the shell's group, and a signal to their own one finds nobody
    const leads = (id: number): boolean => statOf(id)?.group === `${id}` || statOf(id) === undefined;
    await until(`${spec.name} has a process group`, () => leads(pid) && leads(watcherPid));
    return new Daemon(spec, pid, statOf(pid)?.startTime ?? "ended", watcherPid);
  }

  /** Whether the server process still runs (frozen counts as running). */
  alive(): boolean {
    return statOf(this.pid)?.startTime === this.#startTime;
  }

  /** Sends a signal to the whole process group; nothing happens when it is gone already. */
  signal(signal: Deno.Signal): void {
    if (this.alive()) Deno.kill(-this.pid, signal);
  }

  /** Sends a signal and waits until the process is gone; SIGKILL after `graceMs`. */
  async end(signal: "SIGTERM" | "SIGKILL", graceMs = 10_000): Promise<void> {
    this.signal(signal);
    try {
      await until(`${this.#spec.name} ends after ${signal}`, () => !this.alive(), graceMs);
    } catch {
      this.signal("SIGKILL");
      await until(`${this.#spec.name} ends after SIGKILL`, () => !this.alive());
    }
    // the watcher's shell is a group of its own, together with its tail
    if (statOf(this.#watcherPid) !== undefined) Deno.kill(-this.#watcherPid, "SIGKILL");
  }

  /** The last lines that the server wrote, for an error message. */
  lastWords(lines = 15): string {
    return Deno.readTextFileSync(this.#spec.logPath).split("\n").slice(-lines - 1).join("\n");
  }
}

/** Group and start time in clock ticks (fields 5 and 22 of /proc/PID/stat) of a process; undefined when it is gone or a zombie. */
function statOf(pid: number): { group: string | undefined; startTime: string | undefined } | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // the second field is the program's name in brackets and may hold spaces
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : { group: fields[2], startTime: fields[19] };
  } catch {
    return undefined;
  }
}

/** A TCP port of 127.0.0.1 that nobody listens on at this moment. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    return listener.addr.port;
  } finally {
    listener.close();
  }
}
