import { parse } from "yaml";
import { z } from "zod";

/** What a test needs to speak to an API server by bare fetch. All texts are PEM or plain. */
export interface Connection {
  server: string;
  caCert: string | undefined;
  token: string | undefined;
  clientCert: string | undefined;
  clientKey: string | undefined;
}

const Cluster = z.looseObject({
  server: z.url(),
  "certificate-authority": z.string().optional(),
  "certificate-authority-data": z.base64().optional(),
});
const User = z.looseObject({
  token: z.string().optional(),
  "client-certificate": z.string().optional(),
  "client-certificate-data": z.base64().optional(),
  "client-key": z.string().optional(),
  "client-key-data": z.base64().optional(),
});

const Kubeconfig = z.looseObject({
  "current-context": z.string(),
  contexts: z.array(z.looseObject({
    name: z.string(),
    context: z.looseObject({ cluster: z.string(), user: z.string() }),
  })),
  clusters: z.array(z.looseObject({ name: z.string(), cluster: Cluster })),
  users: z.array(z.looseObject({ name: z.string(), user: User })),
});

/**
 * Reads what the current context of a kubeconfig says: server address and how to prove who asks.
 * Throws an Error naming the file when it is no kubeconfig or its context leads nowhere.
 */
export function readConnection(path: string): Connection {
  const config = Kubeconfig.parse(parse(Deno.readTextFileSync(path)));
  const context = config.contexts.find((entry) => entry.name === config["current-context"])?.context;
  const cluster = config.clusters.find((entry) => entry.name === context?.cluster)?.cluster;
  const user = config.users.find((entry) => entry.name === context?.user)?.user;
  if (cluster === undefined || user === undefined) {
    throw new Error(`${path}: context ${config["current-context"]} names no cluster and user of this file`);
  }
  return {
    server: cluster.server.replace(/\/$/, ""),
    caCert: textOf(cluster["certificate-authority-data"], cluster["certificate-authority"]),
    token: user.token,
    clientCert: textOf(user["client-certificate-data"], user["client-certificate"]),
    clientKey: textOf(user["client-key-data"], user["client-key"]),
  };
}

function textOf(data: string | undefined, path: string | undefined): string | undefined {
  if (data !== undefined) return new TextDecoder().decode(Uint8Array.fromBase64(data));
  return path === undefined ? undefined : Deno.readTextFileSync(path);
}
