/** A TLS door before a plain TCP port of this machine, with a certificate authority of its own. */

/** An open door. */
export interface TlsDoor {
  port: number;
  /** PEM of the authority. */
  ca: string;
  close(): Promise<void>;
}

/** Opens a door for "localhost" to `port` of 127.0.0.1, at a free port or `at`; keys are made in `folder`. */
export async function openTlsDoor(folder: string, port: number, at = 0): Promise<TlsDoor> {
  const openssl = async (line: string): Promise<void> => {
    const { success, stderr } = await new Deno.Command("openssl", { args: line.split(" "), cwd: folder })
      .output();
    if (!success) throw new Error(`openssl ${line}: ${new TextDecoder().decode(stderr)}`);
  };
  const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  await openssl(`req -x509 ${newKey} -keyout ca.key -out ca.pem -days 2 -subj /CN=wps-test-ca`);
  await openssl(`req ${newKey} -keyout leaf.key -out leaf.csr -subj /CN=localhost`);
  await Deno.writeTextFile(`${folder}/san.cnf`, "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
  await openssl(
    "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile san.cnf",
  );
  const read = (name: string): Promise<string> => Deno.readTextFile(`${folder}/${name}`);
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: at,
    cert: await read("leaf.pem"),
    key: await read("leaf.key"),
  });
  const open = new Set<Deno.Conn>();
  const serving = serve(listener, port, open);
  return {
    port: listener.addr.port,
    ca: await read("ca.pem"),
    async close(): Promise<void> {
      listener.close();
      for (const connection of open) closeQuietly(connection);
      await serving;
    },
  };
}

async function serve(listener: Deno.TlsListener, port: number, open: Set<Deno.Conn>): Promise<void> {
  const served: Promise<unknown>[] = [];
  for (;;) {
    try {
      const outside = await listener.accept();
      const inside = await Deno.connect({ hostname: "127.0.0.1", port });
      for (const connection of [outside, inside]) open.add(connection);
      const both = [outside.readable.pipeTo(inside.writable), inside.readable.pipeTo(outside.writable)];
      served.push(
        Promise.allSettled(both).then(() => {
          for (const connection of [outside, inside]) closeQuietly(connection);
        }),
      );
    } catch (thrown) {
      // Anything else is a client that refused our certificate.
      if (thrown instanceof Deno.errors.BadResource || thrown instanceof Deno.errors.Interrupted) break;
    }
  }
  await Promise.all(served);
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
