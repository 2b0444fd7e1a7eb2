/** The QEMU guest agent. */
import type { GuestAgent } from "../guest/guest.ts";
import type { PoweredGuest } from "../guest/powered.ts";
import { failure } from "../wire/errors.ts";
import type { Call, CallTable } from "./call.ts";

/** What file-read returns at most. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** The agent that answers. Throws otherwise, after the time that it was waited for. */
async function agentOf({ world, values }: Call): Promise<{ agent: GuestAgent; power: PoweredGuest }> {
  const vm = world.vm(values.node, values.vmid);
  if (!vm.config.has("agent")) throw failure("No QEMU guest agent configured");
  if (vm.power === undefined) throw failure(`VM ${vm.id} is not running`);
  const { power } = vm;
  const agent = power.isPaused ? undefined : power.guest.agent();
  if (agent !== undefined) return { agent, power };
  await world.clock.sleep(world.timings.agentMs);
  world.catchUp();
  throw failure("QEMU guest agent is not running");
}

async function interfaces(call: Call): Promise<unknown> {
  const { world, values } = call;
  const { power } = await agentOf(call);
  const own = world.options.nics(world.vm(values.node, values.vmid).config).map(([key, { mac }]) => ({
    name: `eth${key.slice("net".length)}`,
    "hardware-address": mac.toLowerCase(),
    "ip-addresses": power.guest.addresses(key).map(addressOf),
  }));
  const loopback = {
    name: "lo",
    "hardware-address": "00:00:00:00:00:00",
    "ip-addresses": [addressOf("127.0.0.1/8"), addressOf("::1/128")],
  };
  return { result: [loopback, ...own] };
}

function addressOf(cidr: string): unknown {
  const [address = "", prefix] = cidr.split("/");
  const type = address.includes(":") ? "ipv6" : "ipv4";
  return {
    "ip-address": address,
    "ip-address-type": type,
    prefix: Number(prefix ?? (type === "ipv4" ? 32 : 128)),
  };
}

async function exec(call: Call): Promise<unknown> {
  const { values } = call;
  const { agent, power } = await agentOf(call);
  const command = values.items("command");
  return { pid: power.begin(agent.exec(command, values.text("input-data"))) };
}

async function execStatus(call: Call): Promise<unknown> {
  const { power } = await agentOf(call);
  const process = power.process(Number(call.values.need("pid")));
  if (process === undefined) throw failure("Agent error: Invalid parameter 'pid'");
  if (process.outcome === undefined) return { exited: 0 };
  const { exitCode, stdout, stderr } = process.outcome;
  return {
    exited: 1,
    exitcode: exitCode,
    ...stdout !== undefined && stdout !== "" && { "out-data": stdout },
    ...stderr !== undefined && stderr !== "" && { "err-data": stderr },
  };
}

async function writeFile(call: Call): Promise<null> {
  const { values } = call;
  const { agent } = await agentOf(call);
  const content = values.need("content");
  // encode=0: the sender has encoded it already.
  const isEncoded = values.has("encode") && !values.flag("encode");
  const bytes = isEncoded ? decoded(content) : new TextEncoder().encode(content);
  agent.writeFile(values.need("file"), bytes);
  return null;
}

function decoded(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    throw failure("Agent error: can't write to file");
  }
}

async function readFile(call: Call): Promise<unknown> {
  const { agent } = await agentOf(call);
  const path = call.values.need("file");
  const bytes = agent.readFile(path);
  if (bytes === undefined) {
    throw failure(`Agent error: failed to open file '${path}' (mode: 'r'): No such file or directory`);
  }
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, FILE_BYTES_MAX));
  return { content: text, "bytes-read": Math.min(bytes.length, FILE_BYTES_MAX) };
}

const AGENT = "/nodes/{node}/qemu/{vmid}/agent";

/** Calls that the guest agent answers. */
export const VM_AGENT: CallTable = {
  [`POST ${AGENT}/ping`]: async (call) => {
    await agentOf(call);
    return { result: {} };
  },
  [`GET ${AGENT}/network-get-interfaces`]: interfaces,
  [`POST ${AGENT}/exec`]: exec,
  [`GET ${AGENT}/exec-status`]: execStatus,
  [`POST ${AGENT}/file-write`]: writeFile,
  [`GET ${AGENT}/file-read`]: readFile,
};
