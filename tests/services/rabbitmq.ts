import { Daemon, type DaemonSpec, freePort } from "./daemon.ts";
import { until } from "./until.ts";

/** Debian's own scripts; the ones in /usr/sbin insist on Debian's user and folders. */
const BIN = "/usr/lib/rabbitmq/bin";
/** Erlang and the broker start in 5 s on an idle machine with 2 cores. */
const START_MS = 60_000;

/** Whether Debian's rabbitmq-server is installed. */
export function rabbitmqInstalled(): boolean {
  try {
    return Deno.statSync(`${BIN}/rabbitmq-server`).isFile;
  } catch {
    return false;
  }
}

/**
 * A private RabbitMQ: own ports on 127.0.0.1, own node name, cookie, folders and epmd. Its state is below
 * one temporary folder and survives `kill` and `restart`; `stop` removes it.
 */
export class RabbitMq {
  readonly port: number;
  /** `amqp://user:password@127.0.0.1:port` */
  readonly url: string;
  readonly logPath: string;
  readonly #folder: string;
  readonly #env: Record<string, string>;
  #epmd: Daemon | undefined;
  #broker: Daemon | undefined;

  private constructor(folder: string) {
    const [port, distribution, epmd] = [freePort(), freePort(), freePort()];
    const password = crypto.randomUUID();
    this.port = port;
    this.url = `amqp://wps-test:${password}@127.0.0.1:${port}`;
    this.logPath = `${folder}/broker.log`;
    this.#folder = folder;
    this.#env = {
      HOME: folder,
      RUNNING_UNDER_SYSTEMD: "true", // the script then becomes the broker instead of staying its parent
      RABBITMQ_NODENAME: `wps-test-${port}@localhost`,
      RABBITMQ_DIST_PORT: `${distribution}`,
      ERL_EPMD_PORT: `${epmd}`,
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_CONF_ENV_FILE: `${folder}/none.conf`,
      RABBITMQ_CONFIG_FILE: `${folder}/rabbitmq.conf`,
      RABBITMQ_ADVANCED_CONFIG_FILE: `${folder}/none.config`,
      RABBITMQ_ENABLED_PLUGINS_FILE: `${folder}/enabled_plugins`,
      RABBITMQ_GENERATED_CONFIG_DIR: `${folder}/generated`,
      RABBITMQ_MNESIA_BASE: `${folder}/mnesia`,
      RABBITMQ_LOG_BASE: `${folder}/log`,
      // two schedulers that sleep when idle: the machine's cores belong to the tests
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
    };
    Deno.writeTextFileSync(
      `${folder}/rabbitmq.conf`,
      [
        `listeners.tcp.local = 127.0.0.1:${port}`,
        "default_user = wps-test",
        `default_pass = ${password}`,
        "default_permissions.configure = .*",
        "default_permissions.read = .*",
        "default_permissions.write = .*",
        "log.file.level = info",
      ].join("\n"),
      { mode: 0o600 },
    );
    Deno.writeTextFileSync(`${folder}/enabled_plugins`, "[].\n");
    Deno.writeTextFileSync(`${folder}/.erlang.cookie`, crypto.randomUUID(), { mode: 0o400 });
  }

  /** Starts a broker and waits until it accepts an AMQP connection. Throws with its log's end when it does not. */
  static async start(): Promise<RabbitMq> {
    const rabbit = new RabbitMq(await Deno.makeTempDir({ prefix: "wps-rabbitmq-" }));
    try {
      await rabbit.restart();
    } catch (error) {
      await rabbit.stop();
      throw error;
    }
    return rabbit;
  }

  /** Whether the broker's process runs. */
  get running(): boolean {
    return this.#broker?.alive() ?? false;
  }

  /** Ends the broker if it runs (as an operator would) and starts it again on the same ports and data. */
  async restart(): Promise<void> {
    await this.#broker?.end("SIGTERM");
    if (!this.#epmd?.alive()) await this.#startEpmd();
    this.#broker = await Daemon.start(this.#spec("rabbitmq", `${BIN}/rabbitmq-server`, []));
    await this.#serves(this.#broker);
  }

  /**
   * Ends the broker with SIGKILL, as a crash does; data and ports stay for `restart`. A quorum queue declared
   * less than about a second ago is lost then, confirmed messages included: wait for `settles` before.
   */
  async kill(): Promise<void> {
    await this.#broker?.end("SIGKILL");
  }

  /**
   * Waits until a quorum queue of the default virtual host would survive `kill`. RabbitMQ 3.10 confirms
   * messages before it has written down, half a second later, that their queue exists.
   */
  async settles(queue: string): Promise<void> {
    const node = this.#env.RABBITMQ_NODENAME ?? "";
    const folder = `${this.#folder}/mnesia/${node}/quorum/${node}`;
    await until(`queue ${queue} is on disk`, () => {
      const [names, terms] = ["names.dets", "meta.dets"].map((file) =>
        new TextDecoder("latin1").decode(Deno.readFileSync(`${folder}/${file}`))
      );
      const members = [...Deno.readDirSync(folder)].filter((entry) => entry.isDirectory);
      return names?.includes(`%2F_${queue}`) && members.every(({ name }) => terms?.includes(name));
    });
  }

  /** Ends the broker in good order; data and ports stay for `restart`. */
  async shutDown(): Promise<void> {
    await this.#broker?.end("SIGTERM");
  }

  /** Stops the broker's clock (SIGSTOP): connections stay open and nothing answers. */
  freeze(): void {
    this.#broker?.signal("SIGSTOP");
  }

  /** Lets a frozen broker go on. */
  thaw(): void {
    this.#broker?.signal("SIGCONT");
  }

  /**
   * Whether the broker opens the AMQP 0-9-1 conversation within a time; its listener opens only when the
   * broker is complete. False when it stays silent, as a frozen one does. Throws when nobody listens.
   */
  async greets(withinMs: number): Promise<boolean> {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    const timer = setTimeout(() => socket.close(), withinMs);
    try {
      await socket.write(new Uint8Array([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1])); // "AMQP" 0-9-1
      const frame = new Uint8Array(11);
      const count = await socket.read(frame) ?? 0;
      // a method frame (1) with class connection (10), method start (10)
      return count === frame.length && frame[0] === 1 && frame[8] === 10 && frame[10] === 10;
    } catch (error) {
      if (error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource) return false;
      throw error;
    } finally {
      clearTimeout(timer);
      try {
        socket.close();
      } catch {
        // closed by the timer
      }
    }
  }

  /**
   * Runs rabbitmqctl against this broker, for example `["close_all_connections", "test"]`, `["delete_queue", "q"]`
   * or `["-q", "list_queues", "name", "messages"]`. Takes about 2 s of a core each time.
   * Out: what it printed. Throws with its error output when it fails.
   */
  async rabbitmqctl(args: string[]): Promise<string> {
    const output = await new Deno.Command(`${BIN}/rabbitmqctl`, {
      args,
      env: this.#env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    if (!output.success) throw new Error(`rabbitmqctl ${args.join(" ")}: ${decode(output.stderr)}`);
    return decode(output.stdout);
  }

  /** Ends everything and removes the data. Safe to repeat. */
  async stop(): Promise<void> {
    this.thaw();
    await this.#broker?.end("SIGKILL");
    await this.#epmd?.end("SIGTERM");
    this.#broker = this.#epmd = undefined;
    await Deno.remove(this.#folder, { recursive: true }).catch(ignoreAbsent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #startEpmd(): Promise<void> {
    const port = this.#env.ERL_EPMD_PORT ?? "";
    this.#epmd = await Daemon.start(this.#spec("epmd", "epmd", ["-address", "127.0.0.1", "-port", port]));
    await until("epmd listens", async () => {
      (await Deno.connect({ hostname: "127.0.0.1", port: Number(port) })).close();
      return true;
    });
  }

  async #serves(broker: Daemon): Promise<void> {
    try {
      await until("RabbitMQ accepts connections", async () => {
        if (!broker.alive()) return true;
        return await this.greets(5_000);
      }, START_MS);
    } catch (error) {
      throw new Error(`RabbitMQ does not serve:\n${broker.lastWords()}`, { cause: error });
    }
    if (!broker.alive()) throw new Error(`RabbitMQ ended:\n${broker.lastWords()}`);
  }

  #spec(name: string, command: string, args: string[]): DaemonSpec {
    return { name, command, args, env: this.#env, logPath: this.logPath, folder: this.#folder };
  }
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
