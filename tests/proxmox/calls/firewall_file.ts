/** Which firewall file a call is about: a VM's, the cluster's, or in the latter a group. */
import { type FirewallFile, type FirewallRule } from "../state/firewall_file.ts";
import { sha1 } from "../state/vm.ts";
import { failure } from "../wire/errors.ts";
import type { Call } from "./call.ts";

/** Told when a digest does not fit any more. */
const MODIFIED = "detected modified configuration - file changed by other user? Try again.";

/** Where the rules of a call are. */
export type RuleScope = "vm" | "cluster" | "group";

/** The VM's file when the path names a VM, else the cluster's. Nobody looks whether there is such a VM. */
export function readFile({ world, values }: Call): FirewallFile {
  return values.has("vmid") ? world.firewall(values.vmid) : world.clusterFirewall;
}

/** The same for writing: the file stays, even where there is no VM. */
export function writeFile(call: Call): FirewallFile {
  const { world, values } = call;
  const file = readFile(call);
  if (values.has("vmid")) world.firewalls.set(values.vmid, file);
  return file;
}

/** The VM's own file, where names are looked up before the cluster's. */
export function guestFile({ world, values }: Call): FirewallFile | undefined {
  return values.has("vmid") ? world.firewall(values.vmid) : undefined;
}

/** Which rules a call is about. */
export function scopeOf({ values }: Call): RuleScope {
  if (values.has("vmid")) return "vm";
  return values.has("group") ? "group" : "cluster";
}

/** Those rules. Throws the server's words for a group that is not there. */
export function rulesOf(call: Call): FirewallRule[] {
  const file = readFile(call);
  const group = call.values.text("group");
  if (group === undefined) return file.rules;
  const found = file.groups.get(group);
  if (found === undefined) throw failure(`no such security group '${group}'`);
  return found.rules;
}

/** A digest of rules, sets or options: of nothing else in the file. */
export function digestOf(content: unknown): string {
  return sha1(flat(content));
}

/** Maps as lists, which JSON can write. */
function flat(content: unknown): unknown {
  if (content instanceof Map) return [...content].map(flat);
  if (Array.isArray(content)) return content.map(flat);
  if (typeof content === "object" && content !== null) return Object.entries(content).map(flat);
  return content;
}

/** Throws when the caller had seen something else. */
export function checkDigest({ values }: Call, content: unknown): void {
  const digest = values.text("digest");
  if (digest !== undefined && digest !== digestOf(content)) throw failure(MODIFIED);
}
