/** Property strings: `virtio=BC:24:11:01:02:03,bridge=vmbr0,firewall=1`. */
import type { Properties } from "./schema.ts";

/** What was read. */
export interface PropertyString {
  /** Values as they were written, by canonical key. */
  keys: Map<string, string>;
  /** Keys that the format does not know. */
  unknown: string[];
  /** A value came without a key, and the format has no default key. */
  isKeyless: boolean;
}

/** Reads a property string; whether its values are right is not looked at. */
export function readPropertyString(text: string, format: Properties): PropertyString {
  const read: PropertyString = { keys: new Map(), unknown: [], isKeyless: false };
  const defaultKey = defaultKeyOf(format);
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? defaultKey : part.slice(0, equals).trim();
    const value = equals < 0 ? part : part.slice(equals + 1);
    const property = name === undefined ? undefined : format[name];
    if (name === undefined) {
      read.isKeyless = true;
    } else if (property === undefined) {
      read.unknown.push(name);
    } else {
      if (property.keyAlias !== undefined) read.keys.set(property.keyAlias, name);
      read.keys.set(property.alias ?? name, value);
    }
  }
  return read;
}

/** Writes one as the server does: the default key first and bare, the others in the order of their names. */
export function printPropertyString(keys: ReadonlyMap<string, string>, format: Properties): string {
  const rest = new Map(keys);
  const first: string[] = [];
  const defaultKey = defaultKeyOf(format);
  const bare = defaultKey === undefined ? undefined : rest.get(defaultKey);
  if (defaultKey !== undefined && bare !== undefined) {
    rest.delete(defaultKey);
    const target = format[bare]?.keyAlias === defaultKey ? format[bare]?.alias : undefined;
    const value = target === undefined ? undefined : rest.get(target);
    if (target !== undefined) rest.delete(target);
    first.push(value === undefined ? bare : `${bare}=${value}`);
  }
  const others = [...rest].sort(([a], [b]) => a < b ? -1 : 1);
  return [...first, ...others.map(([key, value]) => `${key}=${value}`)].join(",");
}

function defaultKeyOf(format: Properties): string | undefined {
  return Object.entries(format).find(([, property]) => property.default_key === 1)?.[0];
}
