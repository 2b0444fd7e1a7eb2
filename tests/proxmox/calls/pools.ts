/** Pools. */
import type { Pool } from "../state/world.ts";
import { failure } from "../wire/errors.ts";
import type { Call, CallTable } from "./call.ts";
import { vmResource } from "./resources.ts";

type Answer = Record<string, unknown>;

function poolOf({ world }: Call, id: string, prefix = ""): Pool {
  const pool = world.pools.get(id);
  if (pool === undefined) throw failure(`${prefix}pool '${id}' does not exist`);
  return pool;
}

function read(call: Call, id: string): Answer {
  const { world } = call;
  const { comment, vms, storages } = poolOf(call, id);
  const members = [
    ...[...vms].filter((vmid) => world.vms.has(vmid)).map((vmid) => vmResource(world, vmid)),
    ...[...storages].map((storage) => ({
      id: `storage/${world.localNode}/${storage}`,
      storage,
      type: "storage",
    })),
  ];
  return { poolid: id, ...comment !== undefined && { comment }, members };
}

function list(call: Call): Answer[] {
  const { world, user, values } = call;
  const asked = values.text("poolid");
  if (asked !== undefined) {
    user.need(`/pool/${asked}`, "Pool.Audit");
    return [read(call, asked)];
  }
  const visible = [...world.pools].filter(([id]) =>
    user.mayAny(`/pool/${id}`, ["Pool.Audit", "Pool.Allocate"])
  );
  return visible.map(([poolid, { comment }]) => ({ poolid, ...comment !== undefined && { comment } }));
}

function create({ world, values }: Call): null {
  const id = values.need("poolid");
  if (world.pools.has(id)) throw failure(`create pool failed: pool '${id}' already exists`);
  world.pools.set(id, { comment: values.text("comment"), vms: new Set(), storages: new Set() });
  return null;
}

function update(call: Call): null {
  const { world, user, values } = call;
  const id = values.need("poolid");
  const prefix = "update pools failed: ";
  const pool = poolOf(call, id, prefix);
  pool.comment = values.text("comment") ?? pool.comment;
  for (const vmid of values.list("vms").map(Number)) {
    user.needAny(`/vms/${vmid}`, ["VM.Allocate", "Permissions.Modify"]);
    if (values.flag("delete")) {
      if (!pool.vms.delete(vmid)) throw failure(`${prefix}VM ${vmid} is not a pool member`);
      continue;
    }
    const current = world.poolOf(vmid);
    if (current === id) throw failure(`${prefix}VM ${vmid} is already a pool member`);
    if (current !== undefined && !values.flag("allow-move")) {
      throw failure(`${prefix}VM ${vmid} belongs already to pool '${current}' and 'allow-move' is not set`);
    }
    if (current !== undefined) world.pools.get(current)?.vms.delete(vmid);
    // A VM that is not there is accepted, and leaves nothing behind.
    if (world.vms.has(vmid)) pool.vms.add(vmid);
  }
  for (const storage of values.list("storage")) {
    user.need(`/storage/${storage}`, "Datastore.Allocate");
    if (values.flag("delete")) pool.storages.delete(storage);
    else pool.storages.add(storage);
  }
  return null;
}

function remove(call: Call): null {
  const { world, values } = call;
  const id = values.need("poolid");
  const prefix = "delete pool failed: ";
  const { vms, storages } = poolOf(call, id, prefix);
  const [vmid] = vms;
  const [storage] = storages;
  if (vmid !== undefined) throw failure(`${prefix}pool '${id}' is not empty (contains VM ${vmid})`);
  if (storage !== undefined) {
    throw failure(`${prefix}pool '${id}' is not empty (contains storage ${storage})`);
  }
  world.pools.delete(id);
  return null;
}

/** Calls about pools. */
export const POOLS: CallTable = {
  "GET /pools": list,
  "POST /pools": create,
  "PUT /pools": update,
  "DELETE /pools": remove,
  "GET /pools/{poolid}": (call) => read(call, call.values.need("poolid")),
  "PUT /pools/{poolid}": update,
  "DELETE /pools/{poolid}": remove,
};
