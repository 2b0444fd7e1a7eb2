/**
 * Members that a JSON text gives more than once. RFC 8259 section 4 leaves open which of them counts, so two readers of
 * one event may see two events: WPS takes none of them.
 */
import { shortName } from "./text.ts";

/** An object or list that is open; of an object the names so far, of a list how many commas. */
interface Level {
  path: string;
  names: Set<string> | null;
  commas: number;
  /** The member whose value comes, as part of a path. */
  name: string;
}

/**
 * Paths such as "data.researchers[0].uid", each once, in the order of the text. `text` is JSON that was parsed before;
 * a name is compared as it is after unescaping.
 */
export function repeatedMembers(text: string): string[] {
  const found = new Set<string>();
  const open: Level[] = [];
  let isName = false;
  for (let at = 0; at < text.length; at++) {
    const level = open.at(-1);
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        if (isName && level?.names) {
          const name = String(JSON.parse(text.slice(at, end + 1)));
          level.name = shortName(name);
          if (level.names.has(name)) found.add(pathOf(level));
          level.names.add(name);
        }
        isName = false;
        at = end;
        break;
      }
      case "{":
      case "[": {
        isName = text[at] === "{";
        const path = level === undefined ? "" : pathOf(level);
        open.push({ path, names: isName ? new Set() : null, commas: 0, name: "" });
        break;
      }
      case ",":
        isName = level?.names != null;
        if (level !== undefined) level.commas++;
        break;
      case "}":
      case "]":
        isName = false;
        open.pop();
        break;
    }
  }
  return [...found];
}

function pathOf({ path, names, commas, name }: Level): string {
  if (names === null) return `${path}[${commas}]`;
  return path === "" ? name : `${path}.${name}`;
}

function endOfString(text: string, begin: number): number {
  let end = begin + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end;
}
