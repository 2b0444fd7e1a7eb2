/** Help folded to a terminal's width: @optique breaks lines within brackets and before commas. */
import { plainOf, widthOf } from "./text.ts";

/** Where a usage line goes on: beneath the program's name behind "Usage: ". */
const USAGE = /^(Usage:| {6}) wps /;
const USAGE_INDENT = "Usage: ".length;
/** An option or argument, up to its description. */
const TERM = /^ {2}\S.*? {2,}(?=\S)/;

/** The same help in lines of at most `columns`, where words allow it. Examples stay whole, to be copied. */
export function foldHelp(help: string, columns: number): string {
  let isExample = false;
  return help.split("\n").flatMap((line) => {
    isExample ||= plainOf(line) === "Examples:";
    return isExample ? [line] : foldLine(line, columns);
  }).join("\n");
}

function foldLine(line: string, columns: number): string[] {
  const plain = plainOf(line);
  const isUsage = USAGE.test(plain);
  const indent = isUsage ? USAGE_INDENT : TERM.exec(plain)?.[0].length ?? 0;
  const lines: string[] = [];
  let current: string | null = null;
  for (const part of isUsage ? bracketed(line.split(" ")) : line.split(" ")) {
    if (current === null) current = part;
    else if (widthOf(current) + 1 + widthOf(part) <= columns) current += ` ${part}`;
    else {
      lines.push(current);
      current = " ".repeat(indent) + part;
    }
  }
  return [...lines, current ?? ""];
}

/** Words, those of "[--config FILE]" in one. */
function bracketed(words: string[]): string[] {
  const parts: string[] = [];
  let open = 0;
  for (const word of words) {
    if (open > 0) parts.push(`${parts.pop() ?? ""} ${word}`);
    else parts.push(word);
    for (const character of plainOf(word)) open += character === "[" ? 1 : character === "]" ? -1 : 0;
  }
  return parts;
}
