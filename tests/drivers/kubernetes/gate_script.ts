/** Runs gate.sh as a container does: with nothing but BusyBox and its environment. */
import { createSocket } from "node:dgram";
import { connect } from "node:net";

export const BUSYBOX = "/bin/busybox";
export const SCRIPT = new URL("../../../src/drivers/kubernetes/gate.sh", import.meta.url).pathname;

/** Whether this machine has BusyBox; Debian's busybox-static. */
export function hasBusybox(): boolean {
  try {
    Deno.statSync(BUSYBOX);
    return true;
  } catch {
    return false;
  }
}

/** What a run of the script ended with; the report is the parsed line of JSON. */
export interface Ended {
  code: number;
  text: string;
  report: Report;
  stderr: string;
  tookMs: number;
}

export interface Report {
  result: string;
  why?: string;
  rounds: number;
  clean: number;
  begun: number;
  ended: number;
  targets: string[][];
  nameservers: string[];
}

/** The command that runs a script; [0] is the program. BusyBox's own shell takes its applets before PATH. */
export const ASH: readonly string[] = [BUSYBOX, "sh"];
/** Debian's shell, for tools of the test's own in PATH. */
export const DASH: readonly string[] = ["/bin/sh"];

/** Runs the script to its end. `env` is all it is given but REPORT. */
export async function runGate(
  env: Record<string, string>,
  [program = BUSYBOX, ...args]: readonly string[] = ASH,
): Promise<Ended> {
  const folder = await Deno.makeTempDir({ prefix: "wps-gate-" });
  try {
    const begun = performance.now();
    const output = await new Deno.Command(program, {
      args: [...args, SCRIPT],
      cwd: folder,
      clearEnv: true,
      env: { PATH: "/bin", ...env, REPORT: `${folder}/report` },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const tookMs = performance.now() - begun;
    const text = await Deno.readTextFile(`${folder}/report`);
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    if (left.length !== 1) throw new Error(`The script left files: ${left.join(", ")}`);
    const stdout = new TextDecoder().decode(output.stdout);
    if (stdout !== text) throw new Error(`The report is ${text}, but stdout is ${stdout}`);
    return {
      code: output.code,
      text,
      report: JSON.parse(text),
      stderr: new TextDecoder().decode(output.stderr),
      tookMs,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A folder of BusyBox's applets for PATH, in which some are replaced by a shell script, or taken away by null. */
export async function toolsWith(
  replaced: Record<string, string | null>,
): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "wps-gate-bin-" });
  await new Deno.Command(BUSYBOX, { args: ["--install", "-s", path] }).output();
  for (const [name, script] of Object.entries(replaced)) {
    await Deno.remove(`${path}/${name}`);
    if (script !== null) {
      await Deno.writeTextFile(`${path}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/**
 * What a name server answers: an IPv4 address, a response code of RFC 1035, raw bytes, or null for silence. `nth` counts
 * who asked that question, from 1: one process may ask several times.
 */
export type Zone = (name: string, type: "A" | "AAAA", nth: number) => Uint8Array | string | null;

const CODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
const TYPES: Record<number, "A" | "AAAA"> = { 1: "A", 28: "AAAA" };

/** A name server on UDP, of the test's own; `asked` tells how many processes asked a question, by "TYPE NAME". */
export interface NameServer extends AsyncDisposable {
  port: number;
  asked: Map<string, number>;
}

/** Listens on loopback; port 0 is any. */
export async function nameServer(zone: Zone, address = "127.0.0.1", port = 0): Promise<NameServer> {
  const socket = createSocket("udp4");
  const asked = new Map<string, number>();
  const askers = new Set<string>();
  socket.on("message", (message, from) => {
    const { name, type, end } = questionOf(message);
    const question = `${type} ${name}`;
    const isNew = !askers.has(`${question} ${from.port}`);
    askers.add(`${question} ${from.port}`);
    const nth = (asked.get(question) ?? 0) + (isNew ? 1 : 0);
    asked.set(question, nth);
    const answer = zone(name, type, nth);
    if (answer !== null) socket.send(replyTo(message, end, answer), from.port, from.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, address, resolve);
  });
  return {
    port: socket.address().port,
    asked,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

function questionOf(message: Uint8Array): { name: string; type: "A" | "AAAA"; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(new TextDecoder().decode(message.subarray(at + 1, at + 1 + length)));
    at += length + 1;
  }
  return { name: labels.join("."), type: TYPES[message[at + 2] ?? 0] ?? "A", end: at + 5 };
}

function replyTo(message: Uint8Array, end: number, answer: Uint8Array | string): Uint8Array {
  if (typeof answer !== "string") return answer;
  const code = CODES.indexOf(answer);
  const isAddress = code < 0;
  const head = [
    ...message.subarray(0, 2),
    0x85,
    0x80 | Math.max(code, 0),
    0,
    1,
    0,
    isAddress ? 1 : 0,
    0,
    0,
    0,
    0,
  ];
  const record = isAddress ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...answer.split(".").map(Number)] : [];
  return Uint8Array.from([...head, ...message.subarray(12, end), ...record]);
}

/** A TCP server of the test's own, which closes each connection at once, or holds it open. */
export interface TcpServer extends Disposable {
  port: number;
  /** Connections so far. */
  accepted(): number;
}

/** Listens on loopback; stops listening after `most` connections. */
export function tcpServer({ most = Infinity, holds = false } = {}): TcpServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const held: Deno.Conn[] = [];
  let count = 0;
  let open = true;
  const close = (): void => {
    if (open) listener.close();
    open = false;
  };
  (async () => {
    for await (const connection of listener) {
      count++;
      if (holds) held.push(connection);
      else connection.close();
      if (count >= most) close();
    }
  })();
  return {
    port: listener.addr.port,
    accepted: () => count,
    [Symbol.dispose]: () => {
      close();
      for (const connection of held.splice(0)) connection.close();
    },
  };
}

/** A port of loopback where nobody listens. */
export function deadPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** Waits until something listens on a TCP port of this machine with so many connections queued, as the kernel tells it. */
export async function listening(port: number, queued = 0): Promise<void> {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const isListed = (): boolean =>
    ["/proc/net/tcp", "/proc/net/tcp6"].some((file) =>
      Deno.readTextFileSync(file).split("\n").some((line) => {
        const [, local, , state, queues] = line.trim().split(/\s+/);
        return local?.endsWith(`:${wanted}`) && state === "0A" &&
          parseInt(queues?.split(":")[1] ?? "", 16) >= queued;
      })
    );
  while (!isListed()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** The backlog that BusyBox's nc asks for; Linux queues one connection more before it drops the packets of others. */
const BACKLOG = 1;

/** A port on all addresses of loopback that drops every packet of a new connection, as a blocking policy does. */
export async function silentPort(): Promise<AsyncDisposable & { port: number }> {
  const port = deadPort();
  const child = new Deno.Command(BUSYBOX, {
    args: ["nc", "-l", "-p", `${port}`],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await listening(port);
  child.kill("SIGSTOP");
  const waiting = Array.from({ length: BACKLOG + 4 }, () => connect(port, "127.0.0.1").on("error", () => {}));
  await listening(port, BACKLOG + 1);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      const closed = waiting.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
      for (const socket of waiting) socket.destroy();
      child.kill("SIGKILL");
      await Promise.all([child.status, ...closed]);
    },
  };
}
