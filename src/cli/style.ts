/** Colours and signs, each with a plain twin: nothing is said by colour alone. */
import type { Terminal } from "./terminal.ts";

/** Paints texts, or leaves them as they are. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  blue(text: string): string;
  /** Signs of the terminal's own; a pipe gets ASCII. */
  readonly signs: Signs;
}

/** Signs in front of lines. */
export interface Signs {
  ok: string;
  bad: string;
  warning: string;
  arrow: string;
  bullet: string;
  full: string;
  empty: string;
}

const DRAWN: Signs = { ok: "✓", bad: "✗", warning: "!", arrow: "→", bullet: "•", full: "█", empty: "░" };
const ASCII: Signs = {
  ok: "ok",
  bad: "FAILED",
  warning: "!",
  arrow: "->",
  bullet: "*",
  full: "#",
  empty: "-",
};

/** The style that fits a terminal. */
export function styleOf({ hasColour, isTerminal }: Terminal): Style {
  const paint = (code: number) => (text: string): string =>
    hasColour && text !== "" ? `\u001b[${code}m${text}\u001b[${code < 10 ? 22 : 39}m` : text;
  return {
    bold: paint(1),
    dim: paint(2),
    red: paint(31),
    green: paint(32),
    yellow: paint(33),
    blue: paint(36),
    signs: isTerminal ? DRAWN : ASCII,
  };
}

/** A bar of `width` signs, e.g. "██████░░░░". */
export function bar(style: Style, percent: number, width: number): string {
  const full = Math.round(width * Math.min(100, Math.max(0, percent)) / 100);
  return style.green(style.signs.full.repeat(full)) + style.dim(style.signs.empty.repeat(width - full));
}
