/** A client with a token of its own, of a server on loopback. */
import type { Clock } from "../../../src/core/clock.ts";
import { Fault } from "../../../src/core/fault.ts";
import { Client } from "../../../src/drivers/proxmox/client.ts";
import { ProxmoxFault } from "../../../src/drivers/proxmox/faults.ts";
import { type ProxmoxConnection, proxmoxConnection } from "../../../src/drivers/proxmox/settings.ts";
import { Transport } from "../../../src/drivers/proxmox/transport.ts";
import { type Log, SILENT_LOG } from "../../../src/log.ts";
import assert from "node:assert/strict";

/** The token of {@link clientOf}: who, and the secret that nobody may see. */
export const TOKEN_ID = "wps@pve!prod";
export const TOKEN_SECRET = "0aa5ef10-4bcd-4bb1-9e20-0e2a5c2b6f7d";

/** What differs from a plain client. */
export interface AccessOptions {
  settings?: Partial<ProxmoxConnection>;
  clock?: Clock;
  log?: Log;
  /** Files that are there, by path, read anew each time. */
  files?: Record<string, () => string>;
}

/** A client of a port of this machine. */
export function clientOf(port: number, options: AccessOptions = {}): Client {
  const files: Record<string, () => string> = {
    "/token": () => `${TOKEN_ID}=${TOKEN_SECRET}`,
    ...options.files,
  };
  const settings = {
    ...proxmoxConnection.parse({
      url: `http://127.0.0.1:${port}`,
      tokenFile: "/token",
      requestTimeout: "5s",
    }),
    ...options.settings,
  };
  const transport = new Transport(settings, {
    clock: options.clock ?? { now: () => 0, sleep: () => Promise.resolve() },
    log: options.log ?? SILENT_LOG,
    readText: (path) => {
      const file = files[path];
      return file === undefined ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve(file());
    },
    inspect: () => Promise.resolve({ kind: "file", mode: 0o640, isWritable: false }),
  });
  return new Client(transport);
}

/** The Fault that a promise must end with. */
export async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  try {
    await promise;
  } catch (thrown) {
    assert.ok(thrown instanceof Fault, `${thrown}`);
    return thrown;
  }
  return assert.fail("it must fail");
}

/** The same, of this driver. */
export async function proxmoxFaultOf(promise: Promise<unknown>): Promise<ProxmoxFault> {
  const fault = await faultOf(promise);
  assert.ok(fault instanceof ProxmoxFault, fault.message);
  return fault;
}
