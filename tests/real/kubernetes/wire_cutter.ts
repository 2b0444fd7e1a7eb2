/** A TCP relay in front of the API server that loses answers or breaks connections on demand; TLS passes through it. */

/** What the relay does to connections. */
export interface WireCutter extends AsyncDisposable {
  port: number;
  /** From now on nothing comes back; what is sent still arrives. */
  loseAnswers(): void;
  /** Answers come back again, on new connections. */
  mend(): void;
  /** Breaks every open connection. */
  cut(): void;
  /** How many connections were made. */
  connections(): number;
}

/** Starts a relay to an address on a port of its own. */
export function startWireCutter(hostname: string, port: number): WireCutter {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const running = new Set<Promise<void>>();
  let loses = false;
  let count = 0;

  const close = (connection: Deno.Conn): void => {
    open.delete(connection);
    try {
      connection.close();
    } catch {
      // The other direction closed it.
    }
  };
  const pump = async (from: Deno.Conn, to: Deno.Conn, isAnswer: boolean): Promise<void> => {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
        if (isAnswer && loses) continue;
        for (let written = 0; written < read;) written += await to.write(buffer.subarray(written, read));
      }
    } catch {
      // Cut, or the peer went: either way this direction has ended.
    } finally {
      close(from);
      close(to);
    }
  };
  const relay = async (client: Deno.Conn): Promise<void> => {
    count++;
    open.add(client);
    const server = await Deno.connect({ hostname, port });
    open.add(server);
    await Promise.all([pump(client, server, false), pump(server, client, true)]);
  };
  const accepting = (async () => {
    for await (const client of listener) {
      const relayed = relay(client).catch(() => close(client)).finally(() => running.delete(relayed));
      running.add(relayed);
    }
  })();
  const cut = (): void => {
    for (const connection of [...open]) close(connection);
  };
  return {
    port: listener.addr.port,
    loseAnswers: () => loses = true,
    mend: () => {
      loses = false;
      cut();
    },
    cut,
    connections: () => count,
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      cut();
      await accepting;
      await Promise.all(running);
    },
  };
}
