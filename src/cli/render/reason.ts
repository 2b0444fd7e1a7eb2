/** Why an event was not accepted, on one line and in words. Paths are for whoever mends it: `wps events show`. */
import type { EventView } from "../../api/schemas/events.ts";
import { withoutChoices } from "../../core/event.ts";

/** What the members of an event are called; of a list also one of its entries. */
const WORDS: Readonly<Record<string, string | readonly [one: string, many: string]>> = {
  id: "id",
  source: "source",
  type: "type",
  time: "time",
  permitId: "permit id",
  revision: "revision",
  body: "body",
  data: "data",
  contentType: "content type",
  contentEncoding: "content encoding",
  specversion: "CloudEvents version",
  status: "status",
  tier: "tier",
  expiresAt: "end date",
  preprocessor: "preprocessor",
  reviewer: "reviewer",
  setupReviewer: "setup reviewer",
  researchers: ["researcher", "researchers"],
  dataHolders: ["data holder", "data holders"],
  username: "username",
  uid: "uid",
  gid: "gid",
  allowedCidrs: ["allowed address", "allowed addresses"],
  sshPublicKeys: ["SSH key", "SSH keys"],
};

/** "Uid of researcher 1: 0 is below 1000 (and 3 more)"; nothing where there is no reason. */
export function reasonText({ reasons }: Pick<EventView, "reasons">): string {
  const [first, ...others] = reasons;
  if (first === undefined) return "";
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  const message = withoutChoices(first.message);
  const field = fieldWords(first.path);
  if (field === "") return `${message}${more}`;
  const verb = message.startsWith("is ") ? " " : ": ";
  return `${field.slice(0, 1).toUpperCase()}${field.slice(1)}${verb}${message}${more}`;
}

/** "data.dataHolders[1].allowedCidrs[0]" as "allowed address 1 of data holder 2"; what has no word stays as it is. */
function fieldWords(path: string): string {
  const parts = (path === "data" ? path : path.replace(/^data\./, "")).split(".");
  return parts.map(partWords).toReversed().join(" of ");
}

function partWords(part: string): string {
  const [, name = "", index] = /^(.*)\[(\d+)\]$/.exec(part) ?? [];
  if (index === undefined) return memberWord(part);
  const word = wordOf(name);
  return word === undefined || typeof word === "string" ? part : `${word[0]} ${Number(index) + 1}`;
}

/** What a member of an event is called, a list as a whole; what has no word stays as it is. */
export function memberWord(name: string): string {
  const word = wordOf(name) ?? name;
  return typeof word === "string" ? word : word[1];
}

function wordOf(name: string): string | readonly [one: string, many: string] | undefined {
  return Object.hasOwn(WORDS, name) ? WORDS[name] : undefined;
}
