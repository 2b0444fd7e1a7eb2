/** Which privilege each option of a VM takes. */
import type { Principal } from "../state/access.ts";
import { isCdrom, isCloudInit, isDriveSlot } from "../state/options.ts";
import type { World } from "../state/world.ts";
import { failure, parameterError } from "../wire/errors.ts";

const words = (text: string): string[] => text.split(" ");

const PRIVILEGE_OF = new Map<string, string>([
  ...words("cores cpu runningcpu cpulimit cpuunits numa smp sockets vcpus").map(of("VM.Config.CPU")),
  ...words("memory balloon shares allow-ksm").map(of("VM.Config.Memory")),
  ...words("acpi hotplug kvm machine scsihw smbios1 tablet vga watchdog audio0 rng0 vmgenid").map(
    of("VM.Config.HWType"),
  ),
  ...words(
    "agent autostart bios description keyboard localtime migrate_downtime migrate_speed name onboot ostype " +
      "protection reboot startdate startup tdf template hookscript tags",
  ).map(of("VM.Config.Options")),
  ...words("boot bootdisk vmstatestorage").map(of("VM.Config.Disk")),
  ["freeze", "VM.PowerMgmt"],
]);

function of(privilege: string): (option: string) => [string, string] {
  return (option) => [option, privilege];
}

const CLOUD_INIT = new Set(
  words("cicustom cipassword citype ciuser ciupgrade nameserver searchdomain sshkeys"),
);

/** Whether it is an option of cloud-init. */
export function isCloudInitOption(key: string): boolean {
  return CLOUD_INIT.has(key) || /^ipconfig\d+$/.test(key);
}

/** Throws a 403, or for options of root alone a 500; what depends on the value is checked later. */
export function checkOption(user: Principal, vmid: number, key: string): void {
  const path = `/vms/${vmid}`;
  if (user.isRoot || isDriveSlot(key) || /^(?:unused|serial|usb|hostpci|virtiofs)\d+$/.test(key)) return;
  if (isCloudInitOption(key)) return user.needAny(path, ["VM.Config.Cloudinit", "VM.Config.Network"]);
  if (/^numa\d+$/.test(key)) return user.need(path, "VM.Config.CPU");
  if (/^net\d+$/.test(key)) return user.need(path, "VM.Config.Network");
  const privilege = PRIVILEGE_OF.get(key);
  if (privilege === undefined) throw failure(`only root can set '${key}' config`);
  user.need(path, privilege);
  if (key === "startup") user.need("/", "Sys.Modify");
}

/** The same for options whose value decides; called for the old value, too. */
export function checkOptionValue(
  world: World,
  user: Principal,
  vmid: number,
  key: string,
  value: string,
  action: "set" | "delete",
): void {
  const path = `/vms/${vmid}`;
  if (isDriveSlot(key)) return checkDrive(world, user, path, key, value);
  if (/^serial\d+$/.test(key)) {
    if (value === "socket" || user.isRoot) return user.need(path, "VM.Config.HWType");
    throw failure(`only root can ${action === "set" ? "modify" : "delete"} '${key}' config for real devices`);
  }
  if (/^usb\d+$/.test(key)) return checkDevice(world, user, path, key, value, "usb");
  if (/^hostpci\d+$/.test(key)) return checkDevice(world, user, path, key, value, "pci");
  if (!/^virtiofs\d+$/.test(key)) return;
  user.need(path, "VM.Config.Disk");
  user.need(`/mapping/dir/${world.options.read(key, value).get("dirid") ?? ""}`, "Mapping.Use");
}

function checkDrive(world: World, user: Principal, path: string, key: string, value: string): void {
  const drive = world.options.read(key, value);
  if (isCloudInit(drive)) user.need(path, "VM.Config.Cloudinit", "VM.Config.CDROM");
  else if (isCdrom(drive)) user.need(path, "VM.Config.CDROM");
  else user.need(path, "VM.Config.Disk");
}

function checkDevice(
  _world: World,
  user: Principal,
  path: string,
  key: string,
  value: string,
  kind: "usb" | "pci",
): void {
  if (user.isRoot) return;
  const mapping = /(?:^|,)mapping=([^,]+)/.exec(value)?.[1];
  if (mapping === undefined) {
    const devices = kind === "usb" ? "real devices" : "non-mapped devices";
    throw failure(`only root can set '${key}' config for ${devices}`);
  }
  user.need(path, "VM.Config.HWType");
  user.need(`/mapping/${kind}/${mapping}`, "Mapping.Use");
  if (/(?:^|,)romfile=/.test(value)) {
    throw parameterError({ [key]: "only root@pam can set 'romfile' option" });
  }
}
