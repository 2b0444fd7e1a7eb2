/** The options of a VM's configuration: their types, their property strings, their drives. */
import { keysOfFormat } from "../schema/formats.ts";
import { printPropertyString, readPropertyString } from "../schema/property_string.ts";
import { type ApiMethod, type Properties, propertyOf } from "../schema/schema.ts";
import { failure } from "../wire/errors.ts";

/** A drive's options: `file` and what follows it. */
export type Drive = Map<string, string>;

/** A network interface. */
export interface Nic {
  model: string;
  mac: string;
  bridge: string | undefined;
  tag: number | undefined;
  hasFirewall: boolean;
  isLinkDown: boolean;
}

const DRIVE_SLOT = /^(?:(?:ide|scsi|virtio|sata)\d+|efidisk0|tpmstate0)$/;
/** `vmstore:1`: a new volume of so many GiB. */
const NEW_VOLUME = /^(?:([^:\s]+):)?(\d+(?:\.\d+)?)$/;

/** Whether a key holds a drive; unused ones are none. */
export function isDriveSlot(key: string): boolean {
  return DRIVE_SLOT.test(key);
}

/** Whether a key holds a volume that no device uses. */
export function isUnusedSlot(key: string): boolean {
  return /^unused\d+$/.test(key);
}

/** Whether a drive is PVE's own cloud-init drive. */
export function isCloudInit(drive: Drive): boolean {
  return /[:/](?:vm-\d+-)?cloudinit(?:\.\w+)?$/.test(drive.get("file") ?? "");
}

/** Whether a drive is a CD-ROM; PVE's cloud-init drive is one, too. */
export function isCdrom(drive: Drive): boolean {
  return drive.get("media") === "cdrom" || isCloudInit(drive);
}

/** The storage and GiB of a volume that is to be made; undefined for one that is there. */
export function newVolumeOf(drive: Drive): { storage: string | undefined; gibibytes: number } | undefined {
  const match = NEW_VOLUME.exec(drive.get("file") ?? "");
  return match === null ? undefined : { storage: match[1], gibibytes: Number(match[2]) };
}

const UNITS = ["K", "M", "G", "T"];

/** Bytes as a drive's `size`: the largest unit that needs no fraction. */
export function printSize(bytes: number): string {
  let value = bytes;
  let unit = "";
  for (const larger of UNITS) {
    if (value % 1024 !== 0 || value === 0) break;
    value /= 1024;
    unit = larger;
  }
  return `${value}${unit}`;
}

/** The bytes of a drive's `size`. */
export function readSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(text);
  if (match === null) throw failure(`unable to parse size '${text}'`);
  return Math.round(Number(match[1]) * 1024 ** (UNITS.indexOf(match[2] ?? "") + 1));
}

/** What the schema knows of a VM's options. */
export class VmOptions {
  readonly #properties: Properties;

  constructor(schema: readonly ApiMethod[]) {
    const method = schema.find(({ path, method }) => {
      return path === "/nodes/{node}/qemu/{vmid}/config" && method === "PUT";
    });
    if (method?.parameters === undefined) throw new Error("The schema has no configuration of VMs");
    this.#properties = method.parameters;
  }

  /** Whether there is such an option that can be set or deleted. */
  exists(key: string): boolean {
    return propertyOf(this.#properties, key) !== undefined &&
      !["vmid", "node", "digest", "delete"].includes(key);
  }

  /** A value as it is answered: numbers and booleans as JSON numbers, an empty text as a blank. */
  answer(key: string, value: string): string | number {
    const type = propertyOf(this.#properties, key)?.type;
    if (type === "integer" || type === "boolean") return Number(value);
    return value === "" ? " " : value;
  }

  /** The keys of an option that is a property string. */
  format(key: string): Properties {
    const format = propertyOf(this.#properties, key)?.format;
    const keys = typeof format === "string" ? keysOfFormat(format) : format;
    if (keys === undefined) throw new Error(`${key} is no property string`);
    return keys;
  }

  /** An option's property string taken apart. */
  read(key: string, value: string): Map<string, string> {
    return readPropertyString(value, this.format(key)).keys;
  }

  /** An option's property string as the server writes it. */
  print(key: string, keys: ReadonlyMap<string, string>): string {
    return printPropertyString(keys, this.format(key));
  }

  /** All drives of a configuration, by slot, in the order of the slots' names. */
  drives(config: ReadonlyMap<string, string>): Array<[string, Drive]> {
    return [...config].filter(([key]) => isDriveSlot(key)).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, value]) => [key, this.read(key, value)]);
  }

  /** A network interface taken apart. */
  nic(key: string, value: string): Nic {
    const keys = this.read(key, value);
    const tag = keys.get("tag");
    return {
      model: keys.get("model") ?? "virtio",
      mac: keys.get("macaddr") ?? "",
      bridge: keys.get("bridge"),
      tag: tag === undefined ? undefined : Number(tag),
      hasFirewall: keys.get("firewall") === "1",
      isLinkDown: keys.get("link_down") === "1",
    };
  }

  /** All network interfaces of a configuration, by key. */
  nics(config: ReadonlyMap<string, string>): Array<[string, Nic]> {
    return [...config].filter(([key]) => /^net\d+$/.test(key)).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, value]) => [key, this.nic(key, value)]);
  }

  /** The devices to boot from, in their order. */
  bootOrder(config: ReadonlyMap<string, string>): string[] {
    const boot = config.get("boot");
    if (boot === undefined || boot.trim() === "") return [];
    return (this.read("boot", boot).get("order") ?? "").split(";").filter((device) => device !== "");
  }
}
