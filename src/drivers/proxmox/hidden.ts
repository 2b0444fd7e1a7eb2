/** What nobody sees: the values of a request that may be secret, wherever the server or the log would repeat them. */

/** A text without them. */
export type Hide = (text: string) => string;

/** A request's parameter; `undefined` is not sent. */
export type Value = string | number | boolean | readonly string[] | undefined;

/** Stands for what was removed. */
export const HIDDEN = "[hidden]";

/**
 * Parameters whose value is shown: identifiers, sizes, devices, addresses, switches. Everything else is not, because who
 * adds a parameter may not think of this list: passwords, keys, notes, and whatever goes to the guest agent.
 */
const SHOWN =
  /^(action|allow-move|bridge|cidr|ciupgrade|content|cores|cpu|delete|dest|destroy-unreferenced-disks|dhcp|digest|disk|dport|enable|filename|forceStop|format|full|iface|ipfilter|limit|link_down|macfilter|memory|name|nameserver|newid|node|onboot|policy_in|policy_out|pool|poolid|pos|proto|protection|purge|searchdomain|size|source|start|storage|tags|target|target-digest|target-disk|target-vmid|timeout|type|vmid|vms|(ipconfig|net|scsi|virtio|sata|ide|unused|virtiofs)\d{1,3})$/;
/** Shorter values, and shorter words of a value, would be found in texts that have nothing to do with them. */
const VALUE_MIN = 4;
const WORD_MIN = 8;
/** Proxmox VE writes a configuration's new values into the log of the task that sets them. */
const LOGGED = /(^|\s)-(cipassword|sshkeys|description|cicustom)\s+.*?(?=\s-[a-z]|$)/gs;

/** The parameters as a log may show them. */
export function shownParams(params: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(params).filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, isShown(name, value) ? value : HIDDEN]),
  );
}

/** Hides what of these parameters must not be shown, and `more`, whole, word by word, and as it is encoded. */
export function hiding(params: Readonly<Record<string, Value>>, more: readonly string[] = []): Hide {
  const secrets = Object.entries(params).flatMap(([name, value]) =>
    isShown(name, value) ? [] : textsOf(value)
  );
  const pieces = [...secrets, ...more].flatMap((secret) => [
    ...(secret.length >= VALUE_MIN ? [secret] : []),
    ...secret.split(/\s+/).filter((word) => word.length >= WORD_MIN),
  ]);
  const forms = new Set(pieces.flatMap((text) => [text, encodeURIComponent(text), formEncoded(text)]));
  // The longest first, so that no part of it is left standing.
  const wanted = [...forms].sort((a, b) => b.length - a.length);
  return (text) =>
    wanted.reduce((rest, form) => rest.replaceAll(form, HIDDEN), text.replace(LOGGED, `$1-$2 ${HIDDEN}`));
}

function isShown(name: string, value: Value): boolean {
  return SHOWN.test(name) || typeof value === "boolean";
}

function textsOf(value: Value): string[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}
