import { Daemon, freePort } from "./daemon.ts";
import { until } from "./until.ts";

const SERVER = "/usr/bin/redis-server";
const CLIENT = "/usr/bin/redis-cli";

/** Whether Debian's redis-server is installed. */
export function redisInstalled(): boolean {
  try {
    return Deno.statSync(SERVER).isFile;
  } catch {
    return false;
  }
}

/** A private Redis on a port of 127.0.0.1, with a password and without a file: what it held is gone after `kill`. */
export class Redis {
  readonly port: number = freePort();
  /** `redis://:password@127.0.0.1:port` */
  readonly url: string;
  readonly #password = crypto.randomUUID();
  readonly #folder: string;
  #server: Daemon | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
    this.url = `redis://:${this.#password}@127.0.0.1:${this.port}`;
    const settings = [
      "bind 127.0.0.1",
      `port ${this.port}`,
      `dir ${folder}`,
      `requirepass ${this.#password}`,
      'save ""',
    ];
    Deno.writeTextFileSync(`${folder}/redis.conf`, settings.join("\n"), { mode: 0o600 });
  }

  /** Starts a server and waits until it answers. Throws with its log's end when it does not. */
  static async start(): Promise<Redis> {
    const redis = new Redis(await Deno.makeTempDir({ prefix: "wps-redis-" }));
    try {
      await redis.restart();
    } catch (error) {
      await redis.stop();
      throw error;
    }
    return redis;
  }

  /** Whether the server's process runs. */
  get running(): boolean {
    return this.#server?.alive() ?? false;
  }

  /** Ends the server if it runs and starts it again, empty, on the same port with the same password. */
  async restart(): Promise<void> {
    await this.#server?.end("SIGTERM");
    const server = await Daemon.start({
      name: "redis",
      command: SERVER,
      args: [`${this.#folder}/redis.conf`],
      env: {},
      logPath: `${this.#folder}/redis.log`,
      folder: this.#folder,
    });
    this.#server = server;
    await until("Redis answers", async () => {
      if (!server.alive()) throw new Error(`Redis ended:\n${server.lastWords()}`);
      return await this.cli(["ping"]) === "PONG";
    });
  }

  /** Ends the server with SIGKILL, as a crash does; the port stays for `restart`. */
  async kill(): Promise<void> {
    await this.#server?.end("SIGKILL");
  }

  /** Stops the server's clock (SIGSTOP): connections stay open and nothing answers. */
  freeze(): void {
    this.#server?.signal("SIGSTOP");
  }

  /** Lets a frozen server go on. */
  thaw(): void {
    this.#server?.signal("SIGCONT");
  }

  /** Runs redis-cli, for example `["get", "key"]`. Out: what it printed, without the last line end. Throws when it fails. */
  async cli(args: string[]): Promise<string> {
    const output = await new Deno.Command(CLIENT, {
      args: ["-e", "-h", "127.0.0.1", "-p", `${this.port}`, ...args],
      env: { REDISCLI_AUTH: this.#password },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const [out, err] = [output.stdout, output.stderr].map((bytes) =>
      new TextDecoder().decode(bytes).trimEnd()
    );
    if (!output.success) throw new Error(`redis-cli ${args.join(" ")}: ${err} ${out}`);
    return out ?? "";
  }

  /** Ends the server and removes its folder. Safe to repeat. */
  async stop(): Promise<void> {
    this.thaw();
    await this.#server?.end("SIGKILL");
    this.#server = undefined;
    await Deno.remove(this.#folder, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
