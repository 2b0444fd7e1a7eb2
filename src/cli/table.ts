/** Aligned columns, without borders: readable on a terminal, and `awk` and `cut` can take them apart. */
import type { Style } from "./style.ts";
import { pad, widthOf } from "./text.ts";

/** Blanks between two columns. */
const GAP = "  ";

/** Lines of a table; the last column is not filled up. `indent` stands before each line. No rows: no lines. */
export function table(style: Style, header: string[], rows: string[][], indent = ""): string[] {
  if (rows.length === 0) return [];
  const widths = header.map((title, column) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[column] ?? "")))
  );
  const line = (cells: string[]): string =>
    indent + cells.map((cell, column) => pad(cell, widths[column] ?? 0)).join(GAP).trimEnd();
  return [style.dim(line(header)), ...rows.map(line)];
}

/** "key  value" lines, aligned. */
export function fields(rows: [name: string, value: string][], indent = ""): string[] {
  const width = Math.max(...rows.map(([name]) => widthOf(name)));
  return rows.map(([name, value]) => `${indent}${pad(name, width)}${GAP}${value}`.trimEnd());
}
