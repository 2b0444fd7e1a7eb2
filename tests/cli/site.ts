/** A service on the lab in a folder of its own, for commands to talk to. */
import { type App, startApp } from "../../src/app.ts";
import { loadServiceSetup } from "../../src/cli/setup.ts";
import { type Log, SILENT_LOG } from "../../src/log.ts";
import { type CommandOptions, type CommandResult, wps } from "./capture.ts";

/** Delays short enough for tests, long enough to be seen in between. */
const DELAYS = "{ bind: 5ms, start: 5ms, ready: 5ms, stop: 5ms, task: 10ms, reclaim: 5ms, namespace: 5ms }";

/** A site with its configuration; the service runs while `app` is not null. */
export class TestSite {
  app: App | null = null;

  private constructor(readonly directory: string) {}

  /** Writes the configuration; `lab` and `rest` are YAML. */
  static async make(lab = "", rest = ""): Promise<TestSite> {
    const directory = await Deno.makeTempDir({ prefix: "wps-cli-" });
    await Deno.mkdir(`${directory}/keys`, { mode: 0o700 });
    await Deno.writeTextFile(
      `${directory}/wps.yaml`,
      [
        `state: { directory: ${directory}/state }`,
        `keys: { directory: ${directory}/keys }`,
        `listen: { socket: ${directory}/wps.sock }`,
        `drivers: { lab: { latency: 0ms, delays: ${DELAYS}${lab === "" ? "" : `, ${lab}`} } }`,
        rest,
      ].join("\n"),
    );
    return new TestSite(directory);
  }

  /** The configuration's file. */
  get config(): string {
    return `${this.directory}/wps.yaml`;
  }

  /** Starts the service. */
  async start(log: Log = SILENT_LOG): Promise<void> {
    const { config, phases } = await loadServiceSetup(this.config, {});
    this.app = await startApp({ config, phases, log });
  }

  /** Stops it, and keeps its database. */
  async stop(): Promise<void> {
    await this.app?.stop();
    this.app = null;
  }

  /** Runs a command at this site. */
  wps(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return wps(args, { ...options, environment: { WPS_CONFIG: this.config, ...options.environment } });
  }

  /** Writes an event into a file and returns its path. */
  async event(name: string, event: Record<string, unknown>): Promise<string> {
    const path = `${this.directory}/${name}.json`;
    await Deno.writeTextFile(path, JSON.stringify(event));
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** An event that gives a permit two researchers and everybody else. */
export function setupEvent(id: string, revision: number, status: string): Record<string, unknown> {
  return {
    id,
    type: "permit.status.updated",
    permitId: "permit-001",
    revision,
    data: {
      status,
      preprocessor: { username: "m.keller" },
      reviewer: { username: "a.rossi" },
      setupReviewer: { username: "s.dubois" },
      researchers: [{ username: "j.virtanen", uid: 21001, gid: 21001 }, { username: "l.nowak" }],
    },
  };
}
