/** PUT and POST of a VM's configuration: what is asked for, and all that is checked before a lock is taken. */
import { configLock } from "../state/locks.ts";
import { isDriveSlot, isUnusedSlot } from "../state/options.ts";
import type { World } from "../state/world.ts";
import { failure, parameterError } from "../wire/errors.ts";
import { type Call, type CallTable, startVmTask, stepsOfCall } from "./call.ts";
import { isSshKeys } from "./ssh_keys.ts";
import { checkState, runUpdate, type Update } from "./vm_change.ts";
import { checkBridges, checkDriveAccess, checkVolumeAccess, readDrive } from "./vm_checks.ts";
import { checkOption } from "./vm_option_rights.ts";

/** Not options of a VM, but of the call. */
const NOT_OPTIONS = new Set([
  "background_delay",
  "delete",
  "digest",
  "force",
  "idlist",
  "import-working-storage",
  "node",
  "revert",
  "skip_cloud_init",
  "skiplock",
  "vmid",
]);
const NOT_DESCRIBED = new Set([
  "background_delay",
  "digest",
  "import-working-storage",
  "node",
  "skip_cloud_init",
  "vmid",
]);

function updateOf({ world, user, values }: Call, deleted: string): Update {
  const set = new Map<string, string | null>();
  for (const key of values.keys().filter((key) => !NOT_OPTIONS.has(key)).sort()) {
    set.set(key, values.isNull(key) ? null : values.text(key) ?? values.items(key).join(","));
  }
  const cdrom = set.get("cdrom");
  if (typeof cdrom === "string") set.set("ide2", /media=/.test(cdrom) ? cdrom : `${cdrom},media=cdrom`);
  set.delete("cdrom");
  if (values.flag("skiplock") && !user.isRoot) {
    throw parameterError({ skiplock: "Only root may use this option." });
  }
  const keys = set.get("sshkeys");
  if (typeof keys === "string" && !isSshKeys(keys)) throw failure("SSH public key validation error");
  const described = values.keys().filter((key) => !NOT_DESCRIBED.has(key)).sort()
    .map((key) => `-${key} ${key === "cipassword" ? "<hidden>" : values.text(key) ?? ""}`).join(" ");
  const update: Update = {
    vmid: values.vmid,
    node: values.node,
    user,
    set,
    delete: values.list(deleted).map((key) => key === "cdrom" ? "ide2" : key),
    isForced: values.flag("force"),
    digest: values.text("digest"),
    described,
  };
  revert(world, update, values.list("revert"));
  if (set.size === 0 && update.delete.length === 0 && values.list("revert").length === 0) {
    throw failure("no options specified");
  }
  return update;
}

/** Taking back a pending change is setting what is in force, or not setting it at all. */
function revert(world: World, update: Update, keys: string[]): void {
  const vm = world.vms.get(update.vmid);
  for (const key of keys) {
    if (!world.options.exists(key)) throw parameterError({ revert: `unknown option '${key}'` });
    vm?.pending.delete(key);
    vm?.pendingDelete.delete(key);
  }
}

/** Puts values into the form in which the file keeps them, too. */
function checkUpdate(world: World, update: Update): void {
  for (const key of update.delete) {
    if (update.set.has(key)) {
      throw parameterError({ delete: `you can't use '-${key}' and -delete ${key}' at the same time` });
    }
    if (!world.options.exists(key)) throw parameterError({ delete: `unknown option '${key}'` });
  }
  for (const [key, value] of update.set) {
    if (value === null) continue;
    if (isDriveSlot(key)) update.set.set(key, world.options.print(key, readDrive(world, key, value)));
    if (/^net\d+$/.test(key)) update.set.set(key, withMac(world, key, value));
    if (key === "hookscript") checkHookscript(world, value);
  }
  for (const key of update.delete) checkOption(update.user, update.vmid, key);
  for (const key of update.set.keys()) checkOption(update.user, update.vmid, key);
  const given = givenConfig(update);
  checkStorages(world, update, given);
  checkBridges(world, update.user, given);
  checkState(world, update);
}

function givenConfig({ set }: Update): Map<string, string> {
  return new Map([...set].flatMap(([key, value]) => value === null ? [] : [[key, value]]));
}

function withMac(world: World, key: string, value: string): string {
  const keys = world.options.read(key, value);
  if (!keys.has("macaddr")) keys.set("macaddr", world.newMac());
  return world.options.print(key, keys);
}

function checkHookscript(world: World, volid: string): void {
  if (world.volumes.find(volid) === undefined) {
    throw parameterError({ hookscript: `script '${volid}' does not exist\n` });
  }
}

function checkStorages(world: World, { user, vmid }: Update, given: ReadonlyMap<string, string>): void {
  for (const [slot, drive] of world.options.drives(given)) checkDriveAccess(world, user, vmid, slot, drive);
  for (const [key, value] of given) {
    if (isUnusedSlot(key)) {
      checkVolumeAccess(world, user, vmid, world.options.read(key, value).get("file") ?? "");
    }
  }
  const custom = given.get("cicustom");
  if (custom === undefined) return;
  for (const volid of world.options.read("cicustom", custom).values()) {
    const storage = volid.split(":")[0] ?? "";
    world.volumes.storage(storage);
    user.needAny(`/storage/${storage}`, ["Datastore.Allocate", "Datastore.Audit"]);
  }
}

async function update(call: Call, deleted: string, isAsync: boolean): Promise<string | null> {
  const { world, values } = call;
  const wanted = updateOf(call, deleted);
  checkUpdate(world, wanted);
  const lock = configLock(values.vmid);
  const wish = { waitMs: world.timings.lockMs };
  if (isAsync) {
    return startVmTask(call, "qmconfig", (run) => {
      return run.locked(lock, wish, async () => {
        await runUpdate(world, run, wanted);
        await run.pause(world.timings.stepMs);
      });
    });
  }
  const steps = stepsOfCall(world);
  await steps.locked(lock, wish, () => runUpdate(world, steps, wanted));
  return null;
}

/** Calls that change a configuration. */
export const VM_UPDATE: CallTable = {
  "PUT /nodes/{node}/qemu/{vmid}/config": (call) => update(call, "delete", false),
  "POST /nodes/{node}/qemu/{vmid}/config": (call) => update(call, "delete", true),
  "PUT /nodes/{node}/qemu/{vmid}/unlink": (call) => update(call, "idlist", false),
};
