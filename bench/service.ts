/** The service as an operator runs it, for measuring: its own process, its own configuration, real broker and cluster. */
import { V8_FLAGS } from "../deploy/compile.ts";
import { callService } from "../src/cli/service.ts";
import { Daemon } from "../tests/services/daemon.ts";
import { until } from "../tests/services/until.ts";

/** What the service is started with. */
export interface ServiceSpec {
  folder: string;
  /** The `drivers:` and following sections of its configuration, as YAML. */
  sections: string;
  brokerUrl: string | null;
}

const ROOT = new URL("..", import.meta.url).pathname;
/** A start loads 60 MB of modules on a machine that may be busy. */
const START_MS = 60_000;

/** A running service. */
export class Service {
  #daemon: Daemon;

  private constructor(readonly spec: ServiceSpec, daemon: Daemon) {
    this.#daemon = daemon;
  }

  /** Starts it and waits until it is ready. */
  static async start(spec: ServiceSpec): Promise<Service> {
    await Deno.mkdir(`${spec.folder}/keys`, { recursive: true });
    const broker = spec.brokerUrl === null ? "" : `broker: { url: "${spec.brokerUrl}" }\n`;
    const config = `state: { directory: ${spec.folder}/state }
keys: { directory: ${spec.folder}/keys }
log: { level: warn, format: text }
listen: { socket: ${spec.folder}/wps.sock }
${broker}${spec.sections}`;
    await Deno.writeTextFile(`${spec.folder}/wps.yaml`, config, { mode: 0o600 });
    const service = new Service(spec, await launch(spec));
    await service.ready();
    if (spec.brokerUrl !== null) await service.#consumes();
    return service;
  }

  get pid(): number {
    return this.#daemon.pid;
  }

  get configPath(): string {
    return `${this.spec.folder}/wps.yaml`;
  }

  /** Asks the API over the socket and parses its JSON. */
  async get<T>(path: string): Promise<T> {
    const response = await callService(`${this.spec.folder}/wps.sock`, { path });
    // A benchmark reads fields that the API's tests have pinned.
    return await response.json() as T;
  }

  /** Posts JSON over the socket and parses the answer's; throws when it is no success. */
  async post<T>(path: string, body: unknown): Promise<T> {
    const response = await callService(`${this.spec.folder}/wps.sock`, {
      method: "POST",
      path,
      headers: { "Content-Type": "application/json" },
      body: new TextEncoder().encode(JSON.stringify(body)),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T; // as get
  }

  /** Until `/readyz` answers; the time that took, in milliseconds. */
  async ready(): Promise<number> {
    const begin = performance.now();
    await until(
      "the service to be ready",
      async () => (await this.get<{ status: string }>("/readyz")).status === "ok",
      START_MS,
    );
    return performance.now() - begin;
  }

  /** A service is ready without its broker; until it consumes, what is published is unroutable and lost. */
  async #consumes(): Promise<void> {
    await until("the service to consume", async () => {
      const { broker } = await this.get<{ broker: { state: string } }>("/api/v1/health");
      return broker.state === "ok";
    }, START_MS);
  }

  /** Resident memory in MiB. */
  rssMib(): number {
    const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? NaN) / 1024;
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    await this.#daemon.end("SIGKILL");
  }

  async relaunch(): Promise<void> {
    this.#daemon = await launch(this.spec);
  }

  async stop(): Promise<void> {
    await this.#daemon.end("SIGTERM");
  }
}

async function launch(spec: ServiceSpec): Promise<Daemon> {
  return await Daemon.start({
    name: "wps",
    command: Deno.execPath(),
    args: [
      "run",
      "-A",
      "--no-prompt",
      V8_FLAGS,
      `${ROOT}main.ts`,
      "serve",
      "--config",
      `${spec.folder}/wps.yaml`,
    ],
    env: { HOME: Deno.env.get("HOME") ?? "/root", ...cacheOf() },
    logPath: `${spec.folder}/wps.log`,
    folder: spec.folder,
  });
}

/** The packages are found where this process found them. */
function cacheOf(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ["DENO_DIR", "NPM_CONFIG_REGISTRY"]) {
    const value = Deno.env.get(name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}
