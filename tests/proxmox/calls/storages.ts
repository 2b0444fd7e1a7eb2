/** Storages and what is on them. */
import { splitVolid, type Storage, usedBytes, volidOf, type Volume } from "../state/volumes.ts";
import { failure, parameterError } from "../wire/errors.ts";
import { type Call, type CallTable, startTask } from "./call.ts";
import { checkVolumeAccess } from "./vm_checks.ts";

type Answer = Record<string, unknown>;

function storageOf({ world, values }: Call): Storage {
  const storage = world.volumes.storages.get(values.need("storage"));
  if (storage === undefined) throw parameterError({ storage: "No such storage." });
  return storage;
}

function describe({ world }: Call, storage: Storage): Answer {
  const { totalBytes, usedBytes, availableBytes } = world.volumes.space(storage);
  return {
    active: 1,
    avail: availableBytes,
    content: storage.content.join(","),
    enabled: 1,
    shared: storage.shared === true ? 1 : 0,
    total: totalBytes,
    type: "dir",
    used: usedBytes,
  };
}

function list(call: Call): Answer[] {
  const { world, user, values } = call;
  const content = values.list("content");
  const asked = values.text("storage");
  return [...world.volumes.storages.values()]
    .filter(({ id }) => user.mayAny(`/storage/${id}`, ["Datastore.Audit", "Datastore.AllocateSpace"]))
    .filter((storage) => storage.nodes?.includes(values.node) !== false)
    .filter((storage) => asked === undefined || storage.id === asked)
    .filter((storage) => content.length === 0 || storage.content.some((kind) => content.includes(kind)))
    .map((storage) => {
      const { usedBytes, totalBytes } = world.volumes.space(storage);
      return { ...describe(call, storage), storage: storage.id, used_fraction: usedBytes / totalBytes };
    });
}

function describeVolume(volume: Volume): Answer {
  return {
    volid: volidOf(volume),
    content: volume.content,
    ctime: Math.floor(volume.createdMs / 1000),
    format: volume.format,
    size: volume.sizeBytes,
    ...volume.content === "images" && {
      parent: volume.base === undefined ? null : `../${splitVolid(volume.base)?.name}`,
      used: usedBytes(volume),
      vmid: volume.owner,
    },
  };
}

function isVisible(call: Call, volume: Volume): boolean {
  try {
    checkVolumeAccess(call.world, call.user, undefined, volidOf(volume));
    return true;
  } catch {
    return false;
  }
}

function contents(call: Call): Answer[] {
  const { world, values } = call;
  const [vmid, content] = [values.number("vmid"), values.text("content")];
  return world.volumes.all(storageOf(call).id)
    .filter((volume) => vmid === undefined || volume.owner === vmid)
    .filter((volume) => content === undefined || volume.content === content)
    .filter((volume) => isVisible(call, volume)).map(describeVolume);
}

/** The volid of a path, in which the storage's own name may be left out. */
function volidIn({ values }: Call): string {
  const volume = values.need("volume");
  const storage = values.text("storage");
  const split = splitVolid(volume);
  if (split === undefined) return `${storage}:${volume}`;
  if (split.storage === storage) return volume;
  throw parameterError({ storage: `storage ID missmatch` });
}

function readVolume(call: Call): Answer {
  const { world, user } = call;
  const volid = volidIn(call);
  checkVolumeAccess(world, user, undefined, volid);
  const volume = world.volumes.get(volid);
  const path = `${world.volumes.storage(volume.storage).path}/${
    volume.content === "iso" ? "template/" : ""
  }${volume.name}`;
  return { path, size: volume.sizeBytes, used: usedBytes(volume), format: volume.format };
}

function remove(call: Call): string {
  const { world, user, values } = call;
  const volid = volidIn(call);
  const storage = world.volumes.storage(splitVolid(volid)?.storage ?? "");
  user.need(`/storage/${storage.id}`, "Datastore.Allocate");
  const owner = world.volumes.find(volid)?.owner;
  const id = `${owner === undefined ? "" : `${owner}@`}${values.need("storage")}`;
  return startTask(call, "imgdel", id, async (run) => {
    await run.pause(world.timings.stepMs);
    if (world.volumes.find(volid) === undefined) {
      throw failure(`unlink '${volid}' failed - No such file or directory`);
    }
    world.volumes.free(volid);
    run.print(`Removed volume '${volid}'`);
  });
}

/** The configuration of storages, which takes more rights than using them. */
function listConfigured({ world, user }: Call): Answer[] {
  return [...world.volumes.storages.values()]
    .filter(({ id }) => user.mayAny(`/storage/${id}`, ["Datastore.Audit", "Datastore.AllocateSpace"]))
    .map(configured);
}

function configured({ id, path, content }: Storage): Answer {
  return { storage: id, type: "dir", path, content: content.join(","), digest: "0".repeat(40) };
}

/** Calls about storages and their content. */
export const STORAGES: CallTable = {
  "GET /nodes/{node}/storage": list,
  "GET /nodes/{node}/storage/{storage}/status": (call) => describe(call, storageOf(call)),
  "GET /nodes/{node}/storage/{storage}/content": contents,
  "GET /nodes/{node}/storage/{storage}/content/{volume}": readVolume,
  "DELETE /nodes/{node}/storage/{storage}/content/{volume}": remove,
  "GET /storage": listConfigured,
  "GET /storage/{storage}": (call) => configured(storageOf(call)),
};
