/** IP sets, aliases and groups of the firewall. */
import { bareAddress, findAlias, ipVersion } from "../state/addresses.ts";
import type { IpSet } from "../state/firewall_file.ts";
import { failure, parameterError } from "../wire/errors.ts";
import type { Call, CallTable } from "./call.ts";
import { checkDigest, digestOf, guestFile, readFile, writeFile } from "./firewall_file.ts";

type Answer = Record<string, unknown>;

const commented = (comment: string | undefined): Answer => comment === undefined ? {} : { comment };

function listSets(call: Call): Answer[] {
  const { ipsets } = readFile(call);
  const digest = digestOf([...ipsets].map(([name, { comment }]) => [name, comment]));
  return [...ipsets].map(([name, { comment }]) => ({ name, digest, ...commented(comment) }));
}

function createSet(call: Call): null {
  const { values } = call;
  const file = writeFile(call);
  const name = values.need("name").toLowerCase();
  const rename = values.text("rename")?.toLowerCase();
  const existing = rename === undefined ? undefined : file.ipsets.get(rename);
  if (rename !== undefined && existing === undefined) {
    throw parameterError({ name: `IPSet '${rename}' does not exist` });
  }
  if (file.ipsets.has(name) && rename !== name) {
    throw parameterError({ name: `IPSet '${name}' already exists` });
  }
  if (rename !== undefined) file.ipsets.delete(rename);
  file.ipsets.set(name, {
    entries: existing?.entries ?? [],
    comment: values.text("comment") ?? existing?.comment,
  });
  return null;
}

function setOf(call: Call): IpSet {
  const name = call.values.need("name");
  const set = readFile(call).ipsets.get(name.toLowerCase());
  if (set === undefined) throw failure(`no such IPSet '${name}'`);
  return set;
}

function removeSet(call: Call): null {
  const { values } = call;
  const set = setOf(call);
  if (set.entries.length > 0 && !values.flag("force")) {
    throw failure(`IPSet '${values.need("name")}' is not empty`);
  }
  writeFile(call).ipsets.delete(values.need("name").toLowerCase());
  return null;
}

function listEntries(call: Call): Answer[] {
  const { entries } = setOf(call);
  const digest = digestOf(entries);
  return entries.map(({ cidr, isNoMatch, comment }) => ({
    cidr,
    digest,
    ...isNoMatch && { nomatch: 1 },
    ...commented(comment),
  }));
}

function createEntry(call: Call): null {
  const { world, values } = call;
  const { entries } = setOf(call);
  const cidr = bareAddress(values.need("cidr"));
  if (
    ipVersion(cidr) === undefined && findAlias(cidr, world.clusterFirewall, guestFile(call)) === undefined
  ) {
    throw failure(`no such alias '${cidr}'`);
  }
  if (entries.some((entry) => entry.cidr === cidr)) {
    throw parameterError({ cidr: `address '${cidr}' already exists` });
  }
  entries.push({ cidr, isNoMatch: values.flag("nomatch"), comment: values.text("comment") });
  return null;
}

function entryOf(call: Call): IpSet["entries"][number] | undefined {
  const cidr = bareAddress(call.values.need("cidr"));
  return setOf(call).entries.find((entry) => entry.cidr === cidr);
}

function readEntry(call: Call): Answer {
  const entry = entryOf(call);
  if (entry === undefined) throw parameterError({ cidr: "no such IP/Network" });
  return { cidr: entry.cidr, digest: digestOf(setOf(call).entries), ...commented(entry.comment) };
}

/** An entry that is not there is removed as well. */
function removeEntry(call: Call): null {
  const set = setOf(call);
  checkDigest(call, set.entries);
  const entry = entryOf(call);
  set.entries = set.entries.filter((other) => other !== entry);
  return null;
}

function listAliases(call: Call): Answer[] {
  const { aliases } = readFile(call);
  const digest = digestOf(aliases);
  return [...aliases].map(([name, { cidr, comment }]) => ({
    name,
    cidr,
    digest,
    ipversion: ipVersion(cidr),
    ...commented(comment),
  }));
}

function createAlias(call: Call): null {
  const { values } = call;
  const file = writeFile(call);
  const name = values.need("name").toLowerCase();
  if (file.aliases.has(name)) throw parameterError({ name: `alias '${name}' already exists` });
  file.aliases.set(name, { cidr: bareAddress(values.need("cidr")), comment: values.text("comment") });
  return null;
}

function removeAlias(call: Call): null {
  const file = writeFile(call);
  checkDigest(call, file.aliases);
  file.aliases.delete(call.values.need("name").toLowerCase());
  return null;
}

/** What rules may refer to. */
function refs(call: Call): Answer[] {
  const { values } = call;
  const type = values.text("type");
  const files = values.has("vmid") ? [["guest", readFile(call)] as const] : [["dc", readFile(call)] as const];
  return files.flatMap(([scope, { ipsets, aliases }]) => [
    ...[...ipsets].map(([name]) => ({ type: "ipset", name, ref: `+${name}`, scope })),
    ...[...aliases].map(([name]) => ({ type: "alias", name, ref: name, scope })),
  ]).filter((entry) => type === undefined || entry.type === type);
}

function listGroups(call: Call): Answer[] {
  const { groups } = readFile(call);
  const digest = digestOf([...groups].map(([name, { comment }]) => [name, comment]));
  return [...groups].map(([group, { comment }]) => ({ group, digest, ...commented(comment) }));
}

function createGroup(call: Call): null {
  const { groups } = writeFile(call);
  const group = call.values.need("group");
  if (groups.has(group)) throw parameterError({ group: `Security group '${group}' already exists` });
  groups.set(group, { comment: call.values.text("comment"), rules: [] });
  return null;
}

function removeGroup(call: Call): null {
  const { groups } = writeFile(call);
  const group = call.values.need("group");
  if ((groups.get(group)?.rules.length ?? 0) > 0) throw failure(`Security group '${group}' is not empty`);
  groups.delete(group);
  return null;
}

function setsAt(path: string): CallTable {
  return {
    [`GET ${path}/ipset`]: listSets,
    [`POST ${path}/ipset`]: createSet,
    [`GET ${path}/ipset/{name}`]: listEntries,
    [`POST ${path}/ipset/{name}`]: createEntry,
    [`DELETE ${path}/ipset/{name}`]: removeSet,
    [`GET ${path}/ipset/{name}/{cidr}`]: readEntry,
    [`DELETE ${path}/ipset/{name}/{cidr}`]: removeEntry,
    [`GET ${path}/aliases`]: listAliases,
    [`POST ${path}/aliases`]: createAlias,
    [`DELETE ${path}/aliases/{name}`]: removeAlias,
    [`GET ${path}/refs`]: refs,
  };
}

/** Calls about sets, aliases and groups, of VMs and of the cluster. */
export const FIREWALL_SETS: CallTable = {
  ...setsAt("/nodes/{node}/qemu/{vmid}/firewall"),
  ...setsAt("/cluster/firewall"),
  "GET /cluster/firewall/groups": listGroups,
  "POST /cluster/firewall/groups": createGroup,
  "DELETE /cluster/firewall/groups/{group}": removeGroup,
};
