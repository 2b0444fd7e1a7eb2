/** What there is in a cluster before the first request. */
import { emptyFirewall, type FirewallRule } from "./state/firewall_file.ts";
import { readVolumeName, type Storage, volidOf } from "./state/volumes.ts";
import { newVm } from "./state/vm.ts";
import type { World } from "./state/world.ts";

/** A token that is there. */
export interface TokenSite {
  secret: string;
  isSeparated: boolean;
}

/** A template with its disk and its cloud-init drive. */
export interface TemplateSite {
  vmid: number;
  node: string;
  name: string;
  storage: string;
  /** Without drives and generated ids. */
  config: Record<string, string>;
  diskBytes: number;
  /** Leaves PVE's own cloud-init drive out. */
  isWithoutCloudInit?: boolean;
  /** Firewall options, and groups that its rules name. */
  firewall?: { options: Record<string, string>; groups: string[] };
}

/** A cluster. */
export interface Site {
  /** The node whose address clients use. */
  localNode: string;
  nodes: Array<{
    name: string;
    address: string;
    cpus: number;
    memoryBytes: number;
    /** Bridges with the node's address on each, or "". */
    bridges: Record<string, string>;
    /** Directories that mappings may name. */
    directories?: string[];
  }>;
  storages: Storage[];
  templates: TemplateSite[];
  pools: string[];
  /** Directory mappings: path by node, by id. */
  mappings?: Record<string, Record<string, string>>;
  roles: Record<string, string[]>;
  /** Tokens by user, by id. */
  users: Record<string, Record<string, TokenSite>>;
  /** Roles by path, by user or token. */
  grants: Record<string, Record<string, string>>;
  firewall: { options: Record<string, string>; groups: Record<string, FirewallRule[]> };
}

const GIB = 1024 ** 3;
/** How long nodes have been up when a world begins. */
const UPTIME_MS = 3_600_000;
const CLOUD_INIT_BYTES = 4 * 1024 ** 2;

/** Puts everything of a site into a world that has nothing. */
export function furnish(world: World, site: Site): void {
  for (const { name, address, cpus, memoryBytes, bridges, directories = [] } of site.nodes) {
    world.nodes.set(name, {
      name,
      address,
      cpus,
      memoryBytes,
      bridges: new Map(Object.entries(bridges)),
      directories: new Map(directories.map((path) => [path, new Map()])),
      bootedMs: world.clock.now() - UPTIME_MS,
      isOnline: true,
    });
  }
  for (const storage of site.storages) world.volumes.storages.set(storage.id, { ...storage });
  for (const pool of site.pools) {
    world.pools.set(pool, { comment: undefined, vms: new Set(), storages: new Set() });
  }
  for (const [id, paths] of Object.entries(site.mappings ?? {})) {
    world.mappings.set(id, { description: undefined, paths: new Map(Object.entries(paths)) });
  }
  furnishAccess(world, site);
  for (const [key, value] of Object.entries(site.firewall.options)) {
    world.clusterFirewall.options.set(key, value);
  }
  for (const [name, rules] of Object.entries(site.firewall.groups)) {
    world.clusterFirewall.groups.set(name, { comment: undefined, rules: structuredClone(rules) });
  }
  for (const template of site.templates) addTemplate(world, template);
  world.measure();
  world.compile();
}

function furnishAccess({ access }: World, site: Site): void {
  for (const [role, privileges] of Object.entries(site.roles)) access.roles.set(role, new Set(privileges));
  for (const [user, tokens] of Object.entries(site.users)) {
    const entries = Object.entries(tokens).map(([id, token]) => [id, { ...token, expire: 0 }] as const);
    access.users.set(user, { enable: true, expire: 0, groups: new Set(), tokens: new Map(entries) });
  }
  for (const [path, holders] of Object.entries(site.grants)) {
    for (const [holder, role] of Object.entries(holders)) {
      access.grants.push({
        path,
        kind: holder.includes("!") ? "token" : "user",
        holder,
        role,
        propagate: true,
      });
    }
  }
}

/** Adds a volume that nobody made through the API. */
export function addVolume(
  world: World,
  storage: string,
  name: string,
  { sizeBytes, bytes, files }: { sizeBytes: number; bytes?: Uint8Array; files?: Map<string, string> },
): string {
  const { content, owner, base, format } = readVolumeName(name);
  return volidOf(world.volumes.add({
    storage,
    name,
    content,
    format,
    sizeBytes,
    owner,
    base: base === undefined ? undefined : `${storage}:${base}`,
    createdMs: world.clock.now(),
    files: files ?? new Map(),
    bytes,
  }));
}

/** Adds a template. */
export function addTemplate(world: World, template: TemplateSite): void {
  const { vmid, node, name, storage, diskBytes } = template;
  const disk = addVolume(world, storage, `${vmid}/base-${vmid}-disk-0.qcow2`, { sizeBytes: diskBytes });
  const config = new Map(Object.entries(template.config));
  config.set("name", name).set("template", "1");
  config.set("scsi0", `${disk},size=${diskBytes / GIB}G`);
  config.set("smbios1", `uuid=${world.newUuid()}`).set("vmgenid", world.newUuid());
  config.set("meta", `creation-qemu=10.0.13,ctime=${Math.floor(world.clock.now() / 1000)}`);
  config.set("net0", `virtio=${world.newMac()},bridge=vmbr0,firewall=1`);
  if (template.isWithoutCloudInit !== true) {
    const seed = addVolume(world, storage, `${vmid}/vm-${vmid}-cloudinit.qcow2`, {
      sizeBytes: CLOUD_INIT_BYTES,
    });
    config.set("ide2", `${seed},media=cdrom`);
  }
  world.vms.set(vmid, newVm(vmid, node, config));
  if (template.firewall === undefined) return;
  const file = emptyFirewall();
  file.options = new Map(Object.entries(template.firewall.options));
  file.rules = template.firewall.groups.map((action) => ({
    type: "group",
    action,
    enable: 1,
    fields: new Map(),
  }));
  world.firewalls.set(vmid, file);
}
