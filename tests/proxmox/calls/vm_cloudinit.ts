/** PVE's own cloud-init drive. */
import { configLock } from "../state/locks.ts";
import { isCloudInit } from "../state/options.ts";
import { checkMarker, comingConfig, sha1, type Vm } from "../state/vm.ts";
import type { World } from "../state/world.ts";
import { splitList } from "../schema/formats.ts";
import { type Call, type CallTable, stepsOfCall } from "./call.ts";
import { answerConfig } from "./vm_reading.ts";

/** Told by `GET /cloudinit` when set, and not 0. */
const SHOWN = "cicustom cipassword citype ciuser ciupgrade nameserver searchdomain sshkeys".split(" ");

/** The files of the drive, by the names that NoCloud gives them. */
export function cloudInitFiles(world: World, vm: Vm): Map<string, string> {
  const [user, network] = [userData(vm.config), networkData(world, vm.config)];
  return new Map([["user-data", user], ["network-config", network], ["meta-data", metaData(user, network)]]);
}

function userData(config: ReadonlyMap<string, string>): string {
  const hostname = config.get("name") ?? "";
  const domain = config.get("searchdomain")?.trim();
  const user = config.get("ciuser")?.trim();
  const password = config.get("cipassword");
  const keys = decodeURIComponent(config.get("sshkeys") ?? "").split("\n").filter((line) => line !== "");
  const fqdn = domain === undefined || hostname.includes(".") ? hostname : `${hostname}.${domain}`;
  const lines = [
    "#cloud-config",
    `hostname: ${hostname}`,
    "manage_etc_hosts: true",
    `fqdn: ${fqdn}`,
    ...user === undefined || user === "" ? [] : [`user: ${user}`],
    ...password === undefined ? [] : [`password: ${password}`],
    ...keys.length === 0 ? [] : ["ssh_authorized_keys:", ...keys.map((key) => `  - ${key}`)],
    "chpasswd:",
    "  expire: False",
    "users:",
    "  - default",
    ...config.get("ciupgrade") === "0" ? [] : ["package_upgrade: true"],
  ];
  return `${lines.join("\n")}\n`;
}

function netmask(prefix: number): string {
  const bits = prefix === 0 ? 0 : (~0 << (32 - prefix)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
}

function subnets(ipconfig: ReadonlyMap<string, string>): string[] {
  const lines: string[] = [];
  const ip = ipconfig.get("ip");
  if (ip === "dhcp") lines.push("      - type: dhcp4");
  else if (ip !== undefined) {
    const [address, prefix] = ip.split("/");
    lines.push(
      "      - type: static",
      `        address: '${address}'`,
      `        netmask: '${netmask(Number(prefix))}'`,
    );
    const gateway = ipconfig.get("gw");
    if (gateway !== undefined) lines.push(`        gateway: '${gateway}'`);
  }
  const ip6 = ipconfig.get("ip6");
  if (ip6 === "dhcp") lines.push("      - type: dhcp6");
  else if (ip6 === "auto") lines.push("      - type: dhcp6");
  else if (ip6 !== undefined) {
    lines.push("      - type: static6", `        address: '${ip6}'`);
    const gateway = ipconfig.get("gw6");
    if (gateway !== undefined) lines.push(`        gateway: '${gateway}'`);
  }
  return lines;
}

function networkData(world: World, config: ReadonlyMap<string, string>): string {
  const lines = ["version: 1", "config:"];
  for (const [key, { mac }] of world.options.nics(config)) {
    const index = key.slice("net".length);
    const ipconfig = config.get(`ipconfig${index}`);
    lines.push(
      "    - type: physical",
      `      name: eth${index}`,
      `      mac_address: '${mac.toLowerCase()}'`,
    );
    lines.push("      subnets:", ...subnets(world.options.read("ipconfig0", ipconfig ?? "")));
  }
  const servers = splitList(config.get("nameserver") ?? "");
  const domains = splitList(config.get("searchdomain") ?? "");
  if (servers.length > 0 || domains.length > 0) {
    lines.push("    - type: nameserver");
    if (servers.length > 0) lines.push("      address:", ...servers.map((server) => `      - '${server}'`));
    if (domains.length > 0) lines.push("      search:", ...domains.map((domain) => `      - '${domain}'`));
  }
  return `${lines.join("\n")}\n`;
}

function metaData(user: string, network: string): string {
  return `instance-id: ${sha1([user, network])}\n`;
}

function dump({ world, values }: Call): string {
  const vm = world.vm(values.node, values.vmid);
  const names = { user: "user-data", network: "network-config", meta: "meta-data" } as const;
  const type = values.need("type");
  if (type !== "user" && type !== "network" && type !== "meta") {
    throw new Error(`The schema let ${type} pass`);
  }
  return cloudInitFiles(world, { ...vm, config: comingConfig(vm) }).get(names[type]) ?? "";
}

function list({ world, values }: Call): unknown {
  const config = comingConfig(world.vm(values.node, values.vmid));
  const answer = answerConfig(world, config);
  return SHOWN.filter((key) => config.has(key) && answer[key] !== 0).map((key) => ({
    key,
    value: answer[key],
  }));
}

async function regenerate({ world, values }: Call): Promise<null> {
  const steps = stepsOfCall(world);
  return await steps.locked(configLock(values.vmid), { waitMs: world.timings.lockMs }, () => {
    const vm = world.vm(values.node, values.vmid);
    checkMarker(vm);
    const drive = world.options.drives(vm.config).find(([, drive]) => isCloudInit(drive))?.[1];
    const volume = world.volumes.find(drive?.get("file") ?? "");
    if (volume !== undefined) volume.files = cloudInitFiles(world, vm);
    return Promise.resolve(null);
  });
}

/** Calls about PVE's own cloud-init drive. */
export const VM_CLOUD_INIT: CallTable = {
  "GET /nodes/{node}/qemu/{vmid}/cloudinit": list,
  "PUT /nodes/{node}/qemu/{vmid}/cloudinit": regenerate,
  "GET /nodes/{node}/qemu/{vmid}/cloudinit/dump": dump,
};
