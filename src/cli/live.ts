/** One line of a terminal that is drawn over while something goes on. A pipe never sees it. */
import type { Terminal } from "./terminal.ts";
import { cut, widthOf } from "./text.ts";

/** The cursor to the line's beginning, and the line emptied (ECMA-48: CR, EL). */
const CLEAR_LINE = "\r\u001b[2K";

/** The line. Clear it before anything else is written. */
export class LiveLine {
  readonly #terminal: Terminal;
  #drawn = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Draws `head`, which may have colours, and as much of the uncoloured `tail` as fits. */
  draw(head: string, tail: string): void {
    if (!this.#terminal.isTerminal) return;
    this.clear();
    // A line that wraps cannot be drawn over.
    const room = this.#terminal.columns - widthOf(head) - 3;
    if (room < 0) return;
    this.#terminal.out(`${head}  ${room < 1 ? "" : cut(tail, room)}`);
    this.#drawn = true;
  }

  /** Empties it. */
  clear(): void {
    if (this.#drawn) this.#terminal.out(CLEAR_LINE);
    this.#drawn = false;
  }
}
