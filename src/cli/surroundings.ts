/** This process's own surroundings, and the client that fits a command's options. */
import { ServiceClient } from "./client.ts";
import type { ServiceOptions, Surroundings } from "./context.ts";
import { CliError, EXIT } from "./exit.ts";
import { openStopped } from "./offline.ts";
import { findSocket } from "./socket.ts";
import { type Environment, processTerminal, type Terminal } from "./terminal.ts";

/** What the machine gives; {@link close} lets go of what was opened. */
export interface ProcessSurroundings extends Surroundings {
  close(): Promise<void>;
}

/** The surroundings of this process; a test gives its own terminal and environment. */
export function processSurroundings(
  environment: Environment = Deno.env.toObject(),
  terminal: Terminal = processTerminal(environment),
): ProcessSurroundings {
  const clients: ServiceClient[] = [];
  return {
    terminal,
    environment,
    nowMs: () => Date.now(),
    connect(options: ServiceOptions): ServiceClient {
      const client = new ServiceClient({
        socket: () => findSocket({ socket: options.socket, config: options.config, environment }),
        offline: (down) => openStopped(options, environment, down, (line) => terminal.err(line)),
        warn: (line) => terminal.err(`wps: ${line}\n`),
        operator: environment["SUDO_USER"] ?? environment["LOGNAME"] ?? environment["USER"],
        newKey: () => crypto.randomUUID(),
      });
      clients.push(client);
      return client;
    },
    onInterrupt,
    readInput,
    async close(): Promise<void> {
      for (const client of clients) await client.close();
    },
  };
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

function onInterrupt(interrupt: () => void): () => void {
  for (const signal of SIGNALS) Deno.addSignalListener(signal, interrupt);
  return () => {
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, interrupt);
  };
}

async function readInput(bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  if (Deno.stdin.isTerminal()) {
    throw new CliError(EXIT.usage, "Cannot read standard input: it is a terminal", {
      advice: ["Pipe an event into it, or name a file"],
    });
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of Deno.stdin.readable) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= bytesMax) break;
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.slice(0, bytesMax);
}
