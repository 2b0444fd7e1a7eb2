import assert from "node:assert/strict";
import type { Fault } from "../../src/core/fault.ts";
import { Client } from "../../src/drivers/kubernetes/client.ts";
import { kubernetesSettings } from "../../src/drivers/kubernetes/settings.ts";
import { Transport } from "../../src/drivers/kubernetes/transport.ts";
import { stored } from "../drivers/kubernetes/double.ts";
import { openTlsDoor, type TlsDoor } from "./tls_door.ts";

const PLACE = { namespace: "a", name: "b" };
const { signal } = new AbortController();

/** A server behind TLS, whose authority can be replaced at its one port, and a client with a kubeconfig on disk. */
interface Rotation extends AsyncDisposable {
  client: Client;
  /** What the server took, in order. */
  taken: string[];
  /** How often the kubeconfig was read. */
  reads(): number;
  /** The server's authority is another one from now on. Out: its PEM. */
  rotate(): Promise<string>;
  /** Writes the file that the kubeconfig names. */
  writeAuthority(pem: string): Promise<void>;
}

async function startRotation(): Promise<Rotation> {
  const folder = await Deno.makeTempDir({ prefix: "wps-rotation-" });
  const taken: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    taken.push(request.method);
    return Response.json(stored("Pod", "b"));
  });
  const openDoor = async (at: number): Promise<TlsDoor> => {
    const keys = await Deno.makeTempDir({ dir: folder });
    return await openTlsDoor(keys, server.addr.port, at);
  };
  let door = await openDoor(0);
  const { port } = door;
  const kubeconfig = `${folder}/kubeconfig`;
  const writeAuthority = (pem: string): Promise<void> => Deno.writeTextFile(`${folder}/ca.pem`, pem);
  await writeAuthority(door.ca);
  await Deno.writeTextFile(
    kubeconfig,
    `
clusters: [{ name: c, cluster: { server: "https://localhost:${port}", certificate-authority: ca.pem } }]
users: [{ name: u, user: { token: t } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`,
  );
  let reads = 0;
  const readText = (path: string): Promise<string> => {
    if (path === kubeconfig) reads++;
    return Deno.readTextFile(path);
  };
  const clock = { now: () => 0, sleep: () => Promise.resolve() };
  const settings = kubernetesSettings.parse({ kubeconfig, connections: 2 });
  const transport = new Transport({ settings, surroundings: { readText, env: () => undefined, clock } });
  return {
    client: new Client(transport),
    taken,
    reads: () => reads,
    async rotate(): Promise<string> {
      await door.close();
      door = await openDoor(port);
      return door.ca;
    },
    writeAuthority,
    async [Symbol.asyncDispose](): Promise<void> {
      await transport.close();
      await door.close();
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("Transport: a replaced certificate authority is read again, for reads, writes and watches, and each write is taken once", async () => {
  await using rotation = await startRotation();
  const { client, taken } = rotation;
  const pod = { apiVersion: "v1", kind: "Pod", metadata: PLACE };
  await client.get("pods", PLACE, signal);
  const uses: [string, () => Promise<unknown>][] = [
    ["GET", () => client.get("pods", PLACE, signal)],
    ["PATCH", () => client.apply("pods", pod, signal)],
    ["DELETE", () => client.remove("pods", PLACE, { uid: "u" }, signal)],
  ];
  for (const [method, use] of uses) {
    await rotation.writeAuthority(await rotation.rotate());
    taken.length = 0;
    await use();
    assert.deepEqual(taken, [method]);
  }
  await rotation.writeAuthority(await rotation.rotate());
  const stop = new AbortController();
  const watch = await client.openWatch("pods", { resourceVersion: "1", timeoutSeconds: 60 }, stop.signal);
  await watch.cancel();
  stop.abort();
});

Deno.test("Transport: many that meet a new authority at once read the kubeconfig once", async () => {
  await using rotation = await startRotation();
  await rotation.client.get("pods", PLACE, signal);
  await rotation.writeAuthority(await rotation.rotate());
  await Promise.all(Array.from({ length: 12 }, () => rotation.client.get("pods", PLACE, signal)));
  assert.equal(rotation.reads(), 2);
});

Deno.test("Transport: an authority that stays unknown is a fault that says so, after one look at the kubeconfig", async () => {
  await using rotation = await startRotation();
  await rotation.client.get("pods", PLACE, signal);
  await rotation.rotate();
  await assert.rejects(rotation.client.get("pods", PLACE, signal), (fault: Fault) => {
    assert.deepEqual([fault.disposition, fault.reason], ["retry", "unavailable"]);
    assert.match(fault.message, /invalid peer certificate/);
    assert.match(fault.advice ?? "", /certificate authority/);
    return true;
  });
  assert.equal(rotation.reads(), 2);
  assert.deepEqual(rotation.taken, ["GET"], "nothing was sent over the connection that is not trusted");
});
