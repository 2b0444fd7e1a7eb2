/** Where a text stops being JSON: the engine's own errors often do not say, and quote what they stumble over. */

const WHITE = /[ \t\n\r]*/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y;

/** What may come next: a value, a value or the end of an empty list, a name, a name or the end of an empty object, … */
type Expected = "value" | "item" | "name" | "first name" | "colon" | "comma";

/** Offset of the first character that does not fit RFC 8259; the length of the text where it ends too early or fits. */
export function jsonFaultAt(text: string): number {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  let at = past(WHITE, text, 0);
  while (at < text.length) {
    const character = text[at] ?? "";
    const level = open.at(-1);
    const isName: boolean = expected === "name" || expected === "first name";
    let end = at + 1;
    if (expected === "colon") {
      if (character !== ":") return at;
      expected = "value";
    } else if (expected === "comma" && character === "," && level !== undefined) {
      expected = level === "{" ? "name" : "value";
    } else if (isEnd(character, level, expected)) {
      open.pop();
      expected = "comma";
    } else if (expected === "comma") return at;
    else if (character === '"') {
      const string = endOfString(text, at);
      if ("fault" in string) return string.fault;
      end = string.end;
      expected = isName ? "colon" : "comma";
    } else if (isName) return at;
    else if (character === "{" || character === "[") {
      open.push(character);
      expected = character === "{" ? "first name" : "item";
    } else {
      end = past(SCALAR, text, at);
      if (end === at) return at;
      expected = "comma";
    }
    at = past(WHITE, text, end);
  }
  return text.length;
}

function isEnd(character: string, level: "{" | "[" | undefined, expected: Expected): boolean {
  if (level === "{") return character === "}" && (expected === "comma" || expected === "first name");
  return level === "[" && character === "]" && (expected === "comma" || expected === "item");
}

function endOfString(text: string, start: number): { end: number } | { fault: number } {
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === '"') return { end: at + 1 };
    if (character < " ") return { fault: at };
    if (character !== "\\") continue;
    const end = past(ESCAPE, text, at + 1);
    if (end === at + 1) return { fault: Math.min(end, text.length) };
    at = end - 1;
  }
  return { fault: text.length };
}

/** Where a sticky pattern that begins at `at` ends; `at` where it does not match. */
function past(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** "line 2, column 7", both from 1, of an offset. */
export function placeText(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return `line ${line}, column ${offset - before.lastIndexOf("\n")}`;
}
