/** Faults of real parts, each struck while a permit is on its way, felt by the service, and over again. */
import assert from "node:assert/strict";
import { disturb } from "../../cluster/harness.ts";
import { until } from "../../services/until.ts";
import type { LogEntry } from "./service_process.ts";
import type { Stage } from "./stage.ts";

/** A fault that can be struck. */
export interface RealFault {
  name: string;
  /** Whether the permit manager can publish meanwhile. */
  brokerServes: boolean;
  /** Strikes it, and returns once the service or its neighbours have felt it; the answer ends it. */
  strike(stage: Stage): Promise<() => Promise<void>>;
}

/** How long a part is away once that was felt: longer than a retry's first pauses, so that several fail. */
const AWAY_MS = 8_000;
/** A fault that nobody feels shows nothing. */
const FELT_MS = 60_000;
/** State and reserve of the service that lies on a file system of its own. */
export const STATE_MIB = 64;
/** Short, so that a frozen service is given up soon. */
export const HEARTBEAT = "5s";

/** All of them, in the order in which they are struck. */
export const REAL_FAULTS: readonly RealFault[] = [
  {
    name: "SIGKILL of the service",
    brokerServes: true,
    strike: async ({ service }) => {
      await service.kill();
      return () => service.start();
    },
  },
  {
    name: "SIGSTOP of the service until the broker gave it up",
    brokerServes: true,
    strike: async ({ service, rabbit }) => {
      service.freeze();
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
    brokerServes: false,
    strike: async (stage) => {
      const { service, rabbit, manager } = stage;
      const felt = feeling(service.log().length, stage, ({ message }) => /broker/i.test(message));
      await rabbit.settles("wps.permit-events");
      await rabbit.kill();
      await felt();
      return async () => {
        await rabbit.restart();
        await manager.reconnect();
      };
    },
  },
  {
    name: "SIGKILL of the API server",
    brokerServes: true,
    strike: async (stage) => {
      const felt = feeling(stage.service.log().length, stage, isTrouble);
      await disturb("kill", "apiserver");
      await felt();
      await away();
      return () => disturb("start", "apiserver");
    },
  },
  {
    name: "etcd frozen",
    brokerServes: true,
    strike: async (stage) => {
      const felt = feeling(stage.service.log().length, stage, isTrouble);
      await disturb("freeze", "etcd");
      try {
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
    brokerServes: true,
    strike: async (stage) => {
      const felt = feeling(
        stage.service.log().length,
        stage,
        (entry) => /disk is full/.test(JSON.stringify(entry)),
      );
      const filler = `${stage.stateFolder}/filler`;
      await fill(filler);
      await felt();
      await away();
      return () => Deno.remove(filler);
    },
  },
  {
    name: "fsync of the store fails",
    brokerServes: true,
    strike: async (stage) => {
      const felt = feeling(
        stage.service.log().length,
        stage,
        (entry) => /disk I\/O error/.test(JSON.stringify(entry)),
      );
      const end = await failFsync(stage.service.pid);
      await felt();
      await away();
      return end;
    },
  },
];

function isTrouble({ level }: LogEntry): boolean {
  return level === "warn" || level === "error";
}

/** Waits for a log entry after the first `from`; what the service logs while it cannot be felt is no sign. */
function feeling(
  from: number,
  { service }: Stage,
  isSign: (entry: LogEntry) => boolean,
): () => Promise<void> {
  return async () =>
    void await until("the service feels it", () => service.log().slice(from).find(isSign), FELT_MS);
}

async function away(): Promise<void> {
  const endMs = Date.now() + AWAY_MS;
  await until("it has been away for a while", () => Date.now() >= endMs);
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
