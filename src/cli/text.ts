/** Text that is safe and well aligned on a terminal. */

// C0 but tab and line feed, DEL, C1; zero-width and bidirectional controls, which make text look like other text.
const CONTROLS =
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;
const LINE_CONTROLS = /[\t\n]/g;

/**
 * A copy whose texts cannot move the cursor, recolour or reorder the line: ids, messages and reasons come from
 * other systems. Everything is shown, as "\u{1b}"; line feeds too, so that one value stays on one line.
 */
export function visible<Value>(value: Value): Value {
  return walk(value, (text) => visibleText(text).replace(LINE_CONTROLS, codePoint)) as Value; // same shape as given
}

/** {@link visible} for a text of several lines, whose line feeds and tabs are kept. */
export function visibleText(text: string): string {
  return text.replace(CONTROLS, codePoint);
}

function codePoint(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16) ?? "fffd"}}`;
}

function walk(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => walk(item, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item, change)]));
}

/** JSON with the same controls as escapes: still the same value, and harmless on a terminal. */
export function jsonText(value: unknown, indent: number): string {
  return JSON.stringify(value, null, indent).replace(
    // A line feed in the text is JSON's own layout here: within strings it is escaped already.
    CONTROLS,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

// Unicode Standard Annex 11, the ranges that terminals draw two columns wide: Hangul, CJK, kana, full-width forms, emoji.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const ZERO = /\p{Mark}/u;
// deno-lint-ignore no-control-regex -- the escape character begins a colour
const COLOURS = /\u001b\[[0-9;]*m/g;

/** A text without its colours. */
export function plainOf(text: string): string {
  return text.replace(COLOURS, "");
}

/** Columns that a text takes on a terminal; colours take none. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of plainOf(text)) {
    width += ZERO.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  }
  return width;
}

/** Fills up with blanks to `width` columns; a longer text stays as it is. */
export function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

/** Cuts an uncoloured text to `width` columns, the last of them "…". */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const character of text) {
    const columns = widthOf(character);
    if (used + columns > width - 1) break;
    kept += character;
    used += columns;
  }
  return `${kept}…`;
}

/** Breaks a text at blanks into lines of at most `width` columns; a longer word stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}

/** "1 step", "2 steps": a number with its noun, whose plural only adds an s. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
