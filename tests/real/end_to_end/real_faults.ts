/** Faults of real parts, each struck while a permit is on its way, felt by the service, and over again. */
import assert from "node:assert/strict";
import { disturb } from "../../cluster/harness.ts";
import { until } from "../../services/until.ts";
import type { LogEntry, ServiceProcess } from "./service_process.ts";
import type { Stage } from "./stage.ts";

/** A fault that can be struck. */
export interface RealFault {
  name: string;
  /**
   * Strikes it, and returns once the service or its neighbours have felt it; the answer ends it. `send` publishes one more
   * event, meanwhile where the broker can take it: what has nothing to do feels nothing.
   */
  strike(stage: Stage, send: () => Promise<void>): Promise<() => Promise<void>>;
}

/** How long a part is away once that was felt: longer than a retry's first pauses, so that several fail. */
const AWAY_MS = 8_000;
/** A fault that nobody feels shows nothing. */
const FELT_MS = 60_000;
/** State and reserve of the service that lies on a file system of its own. */
export const STATE_MIB = 64;
/** 8 MB of events, each below the broker's bound for one. */
const BULKY_EVENTS = 80, BULKY_CHARACTERS = 100_000;
/** Short, so that a frozen service is given up soon. */
export const HEARTBEAT = "5s";

/** All of them, in the order in which they are struck. */
export const REAL_FAULTS: readonly RealFault[] = [
  {
    name: "SIGKILL of the service",
    strike: async ({ service }, send) => {
      await service.kill();
      await send();
      return () => service.start();
    },
  },
  {
    name: "SIGSTOP of the service until the broker gave it up",
    strike: async ({ service, rabbit }, send) => {
      service.freeze();
      await send();
      await until("the broker gives the service up", async () => {
        // The permit manager's connection stays.
        const connections = await rabbit.rabbitmqctl(["-q", "list_connections", "pid"]);
        return connections.trim().split("\n").filter((line) => line.startsWith("<")).length <= 1;
      }, FELT_MS);
      return () => {
        service.thaw();
        return Promise.resolve();
      };
    },
  },
  {
    name: "SIGKILL of RabbitMQ",
    strike: async (stage, send) => {
      const { service, rabbit, manager } = stage;
      const felt = feeling(service, ({ message }) => /broker/i.test(message));
      await rabbit.settles("wps.permit-events");
      await rabbit.kill();
      await felt();
      return async () => {
        await rabbit.restart();
        await manager.reconnect();
        await send();
      };
    },
  },
  {
    name: "SIGKILL of the API server",
    strike: async (stage, send) => {
      const felt = feeling(stage.service, isTrouble);
      await disturb("kill", "apiserver");
      await send();
      await felt();
      await away();
      return () => disturb("start", "apiserver");
    },
  },
  {
    name: "etcd frozen",
    strike: async (stage, send) => {
      const felt = feeling(stage.service, isTrouble);
      await disturb("freeze", "etcd");
      try {
        await send();
        await felt();
        await away();
      } catch (thrown) {
        await disturb("thaw", "etcd");
        throw thrown;
      }
      return () => disturb("thaw", "etcd");
    },
  },
  {
    name: "disk of the store full",
    strike: async (stage, send) => {
      const felt = feeling(
        stage.service,
        (entry) => /disk is full/.test(JSON.stringify(entry)),
      );
      const filler = `${stage.stateFolder}/filler`;
      await fill(filler);
      await send();
      await Promise.all([felt(), publishMuch(stage)]); // what is small still fits into the log that SQLite writes anew
      await away();
      return () => Deno.remove(filler);
    },
  },
  {
    name: "fsync of the store fails",
    strike: async (stage, send) => {
      const felt = feeling(
        stage.service,
        (entry) => /disk I\/O error/.test(JSON.stringify(entry)),
      );
      const end = await failFsync(stage.service.pid);
      await send();
      await felt();
      await away();
      return end;
    },
  },
];

function isTrouble({ level }: LogEntry): boolean {
  return level === "warn" || level === "error";
}

/** To be called before the strike; the answer waits for an entry of the log that came since. */
function feeling(service: ServiceProcess, isSign: (entry: LogEntry) => boolean): () => Promise<void> {
  const from = service.log().length;
  return async () =>
    void await until("the service feels it", () => service.log().slice(from).find(isSign), FELT_MS);
}

async function away(): Promise<void> {
  const endMs = Date.now() + AWAY_MS;
  await until("it has been away for a while", () => Date.now() >= endMs);
}

/** More than the store's log of changes takes without growing: SQLite's default is 1,000 pages of 4 KiB. */
async function publishMuch({ manager, newPermit }: Stage): Promise<void> {
  const body = { status: "AWAITING_INGRESS", reason: "x".repeat(BULKY_CHARACTERS) };
  const permitId = newPermit("bulky");
  for (let count = 0; count < BULKY_EVENTS; count++) {
    await manager.publish({ type: "permit.status.updated", permitId, body });
  }
}

/** Writes until there is no byte left. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, write: true });
  for (let size = 1 << 20; size > 0;) {
    try {
      if (await file.write(new Uint8Array(size)) < size) size >>= 1;
    } catch (thrown) {
      if (!(thrown instanceof Error) || !/No space left/.test(thrown.message)) throw thrown;
      size >>= 1;
    }
  }
}

/** Every fsync and fdatasync of a running process fails with EIO, until the answer is called. */
async function failFsync(pid: number): Promise<() => Promise<void>> {
  const tracer = new Deno.Command("strace", {
    args: [
      "-f",
      "-q",
      "-e",
      "trace=fsync,fdatasync",
      "-e",
      "inject=fsync,fdatasync:error=EIO",
      "-p",
      `${pid}`,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until("the tracer is attached", async () => {
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    return /^TracerPid:\s+[1-9]/m.test(status);
  });
  return async () => {
    tracer.kill("SIGINT"); // it detaches
    await tracer.status;
    const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => ""); // it may have ended
    assert.ok(!/^TracerPid:\s+[1-9]/m.test(status), "the tracer has gone");
  };
}
