/** The service as operators run it: a process of its own, with its own configuration file. */
import { Daemon } from "../../services/daemon.ts";
import { until } from "../../services/until.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;
/** The service starts in a second on an idle machine with 2 cores. */
const START_MS = 60_000;

/** One entry of the service's log. */
export interface LogEntry {
  time: string;
  level: string;
  message: string;
  [field: string]: unknown;
}

/** `wps serve` over one folder; each start is a new process over what the one before left. */
export class ServiceProcess {
  readonly configPath: string;
  readonly socketPath: string;
  readonly logPath: string;
  readonly #folder: string;
  readonly #denoFlags: string[];
  #daemon: Daemon | undefined;

  /** `yaml` is the configuration without `state`, `keys`, `listen` and `log`; `denoFlags` go to `deno run`. */
  constructor(folder: string, yaml: string, denoFlags: string[] = []) {
    this.#folder = folder;
    this.#denoFlags = denoFlags;
    this.configPath = `${folder}/wps.yaml`;
    this.socketPath = `${folder}/wps.sock`;
    this.logPath = `${folder}/wps.log`;
    Deno.mkdirSync(`${folder}/keys`, { mode: 0o700 });
    const own = [
      `state: { directory: ${folder}/state }`,
      `keys: { directory: ${folder}/keys }`,
      `listen: { socket: ${folder}/wps.sock }`,
      "log: { level: info, format: json }",
    ];
    Deno.writeTextFileSync(this.configPath, `${own.join("\n")}\n${yaml}`, { mode: 0o600 });
  }

  /** Starts a process; it does not serve yet. */
  async spawn(): Promise<void> {
    this.#daemon = await Daemon.start({
      name: "wps",
      command: Deno.execPath(),
      args: ["run", "-A", "--no-check", ...this.#denoFlags, MAIN, "serve", "--config", this.configPath],
      env: inherited("HOME", "DENO_DIR", "XDG_CACHE_HOME"),
      logPath: this.logPath,
      folder: this.#folder,
    });
  }

  /** Starts a process and waits until it takes events and runs jobs. Throws with its log's end when it does not. */
  async start(): Promise<void> {
    await this.spawn();
    await this.serves();
  }

  /** Waits until it takes events and runs jobs. */
  async serves(): Promise<void> {
    const isEnded = await until("the service serves", async () => {
      if (!this.running) return "ended";
      return (await this.get("/readyz")).ok && "serves";
    }, START_MS) === "ended";
    if (isEnded) throw new Error(`The service ended:\n${this.lastWords()}`);
  }

  /** Waits until it consumes the broker's queue, so that what is published from now on has somewhere to go. */
  async consumes(): Promise<void> {
    await until("the service consumes", async () => {
      const { body } = await this.get("/api/v1/health");
      return JSON.stringify(body).includes('"broker":{"state":"ok"');
    });
  }

  /** Whether its process runs. */
  get running(): boolean {
    return this.#daemon?.alive() ?? false;
  }

  /** Resident memory in MiB; NaN while it does not run. */
  rssMib(): number {
    if (this.#daemon === undefined) return NaN;
    const status = Deno.readTextFileSync(`/proc/${this.#daemon.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? NaN) / 1024;
  }

  /** Its process id. Throws while it does not run. */
  get pid(): number {
    if (this.#daemon === undefined) throw new Error("The service does not run");
    return this.#daemon.pid;
  }

  /** SIGSTOP: its connections stay open and nothing of it moves. */
  freeze(): void {
    this.#daemon?.signal("SIGSTOP");
  }

  /** Lets a frozen one go on. */
  thaw(): void {
    this.#daemon?.signal("SIGCONT");
  }

  /** SIGKILL, as a crash; returns once the process is gone. */
  async kill(): Promise<void> {
    await this.#daemon?.end("SIGKILL");
    this.#daemon = undefined;
  }

  /** SIGTERM, as systemd stops it. */
  async stop(): Promise<void> {
    await this.#daemon?.end("SIGTERM");
    this.#daemon = undefined;
  }

  /** The last lines of its log. */
  lastWords(): string {
    return this.#daemon?.lastWords() ?? Deno.readTextFileSync(this.logPath).split("\n").slice(-15).join("\n");
  }

  /** What it logged since its first start; lines that are no JSON come as messages of level "raw". */
  log(): LogEntry[] {
    const lines = Deno.readTextFileSync(this.logPath).split("\n").filter((line) => line !== "");
    return lines.map((line): LogEntry => {
      try {
        return JSON.parse(line);
      } catch {
        return { time: "", level: "raw", message: line };
      }
    });
  }

  /** Asks its API over the socket. Throws where nobody listens. */
  async get(path: string): Promise<{ ok: boolean; status: number; body: unknown }> {
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path: this.socketPath } });
    try {
      const response = await fetch(`http://wps${path}`, { client });
      const text = await response.text();
      return { ok: response.ok, status: response.status, body: text === "" ? null : JSON.parse(text) };
    } finally {
      client.close();
    }
  }
}

/** What Deno needs of this process's environment to find its cache. */
function inherited(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}
