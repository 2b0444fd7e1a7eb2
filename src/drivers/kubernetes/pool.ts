/** The connections to one API server under one set of credentials. */
import type { Lane } from "../../core/slots.ts";
import { type AccessSurroundings, BearerToken } from "./access.ts";
import type { ClusterAccess } from "./kubeconfig.ts";

/** Open until it is retired and nobody uses it any more, or until it is closed by force. */
export class Pool {
  readonly token: BearerToken;
  readonly #clients: Deno.HttpClient[];
  /** Watches never queue behind a burst of requests, nor requests behind watches. */
  readonly #watchClient: Deno.HttpClient;
  /** Nor does a cut queue behind anything within a connection. */
  readonly #urgentClient: Deno.HttpClient;
  #turn = 0;
  #users = 0;
  #isRetired = false;
  #isClosed = false;

  constructor(readonly access: ClusterAccess, connections: number, surroundings: AccessSurroundings) {
    this.token = new BearerToken(access, surroundings);
    const makeClient = (): Deno.HttpClient => {
      const caCerts = access.caPem === null ? [] : [access.caPem];
      return access.certPem !== null && access.keyPem !== null
        ? Deno.createHttpClient({ caCerts, cert: access.certPem, key: access.keyPem })
        : Deno.createHttpClient({ caCerts });
    };
    this.#clients = Array.from({ length: connections }, makeClient);
    this.#watchClient = makeClient();
    this.#urgentClient = makeClient();
  }

  /** Whether its connections are closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The client whose turn it is, or the one for watches, or that of the urgent lane. */
  client(use: Lane | "watch"): Deno.HttpClient {
    if (use === "watch") return this.#watchClient;
    const next = use === "urgent" ? undefined : this.#clients[this.#turn++ % this.#clients.length];
    return next ?? this.#urgentClient;
  }

  /** Keeps it open until the function that is returned was called; calling that twice is harmless. */
  use(): () => void {
    this.#users++;
    let isUsed = true;
    return () => {
      if (!isUsed) return;
      isUsed = false;
      this.#users--;
      this.#closeUnused();
    };
  }

  /** No new users come: it is closed with the last of those there are. */
  retire(): void {
    this.#isRetired = true;
    this.#closeUnused();
  }

  /** Closes every connection; requests in flight fail. Safe to repeat. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const client of [...this.#clients, this.#watchClient, this.#urgentClient]) client.close();
  }

  #closeUnused(): void {
    if (this.#isRetired && this.#users === 0) this.close();
  }
}
