/**
 * Names on the infrastructure, derived from arbitrary text (DESIGN 3): legal, readable, and
 * collision-resistant, because a hash of the whole text is always part of a name.
 */
import { sha256Hex } from "./sha256.ts";

/** Hex digits of hash in a name: 48 bits, a collision among a million permits has odds of 1 in 500. */
const HASH_DIGITS = 12;
/** Kubernetes: a DNS label (RFC 1123) has at most 63 characters. */
const LABEL_MAX = 63;
/** A StatefulSet's name; its pods add "-0" and a revision label adds "-" and 10 characters (63 in all). */
const WORKSPACE_MAX = 52;

/** Lower-case letters, digits and single dashes; begins and ends alphanumeric; at most `max` long; may be empty. */
function slug(text: string, max: number): string {
  return text.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+/, "").slice(0, max)
    .replace(/-+$/, "");
}

/** `prefix-slug-hash`, a DNS label of at most `max` characters; equal text gives equal names. */
function label(prefix: string, text: string, max: number): string {
  const hash = sha256Hex(text).slice(0, HASH_DIGITS);
  const readable = slug(text, max - prefix.length - HASH_DIGITS - 2);
  return [prefix, readable, hash].filter((part) => part !== "").join("-");
}

/** The namespace (Proxmox: pool) of a permit, e.g. "wps-permit-001-8f14e45fceea". */
export function permitName(permitId: string): string {
  return label("wps", permitId, LABEL_MAX);
}

/** The StatefulSet, Service and policy of a workspace, e.g. "research-j-virtanen-1b6453892473". */
export function workspaceName(workspaceKey: string): string {
  const [kind = "", ...owner] = workspaceKey.split("/");
  const hash = sha256Hex(workspaceKey).slice(0, HASH_DIGITS);
  const prefix = slug(kind, 16);
  const readable = slug(owner.join("/"), WORKSPACE_MAX - prefix.length - HASH_DIGITS - 2);
  return [prefix, readable, hash].filter((part) => part !== "").join("-");
}

/** The claim of a volume, e.g. "vol-home-j-virtanen-72ab8af56bdd"; the key carries owner and generation. */
export function volumeName(volumeKey: string): string {
  return label("vol", volumeKey, LABEL_MAX);
}

/** The Job that consolidates one uploads volume. */
export function taskName(volumeKey: string): string {
  return label("consolidate", volumeKey, WORKSPACE_MAX);
}
