/** What a command gets beside its own arguments. */
import type { Parser } from "@optique/core/parser";
import type { ServiceClient } from "./client.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { type Style, styleOf } from "./style.ts";
import type { Environment, Terminal } from "./terminal.ts";
import { jsonText, visible, visibleText } from "./text.ts";

/** Options that every command takes. */
export interface CommonOptions {
  json: boolean;
  config?: string;
}

/** Options of commands that talk to the service. */
export interface ServiceOptions extends CommonOptions {
  socket?: string;
}

/** The surroundings of a command: nothing else of the machine is reached for. */
export interface Surroundings {
  terminal: Terminal;
  environment: Environment;
  nowMs(): number;
  /** The client for this command's options. */
  connect(options: ServiceOptions): ServiceClient;
  /** Calls `interrupt` at each SIGINT and SIGTERM until the returned function is called. */
  onInterrupt(interrupt: () => void): () => void;
  /** Standard input, whole. */
  readInput(bytesMax: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A command as completion sees it. */
export interface CompletableCommand {
  name: string;
  /** Loads its arguments. */
  load(): Promise<{ command: Parser<"sync", unknown, unknown> }>;
}

/** The surroundings with what commands need again and again. */
export class Context {
  readonly terminal: Terminal;
  readonly style: Style;

  /** `commands`: all of them, for completion. */
  constructor(readonly surroundings: Surroundings, readonly commands: readonly CompletableCommand[] = []) {
    this.terminal = surroundings.terminal;
    this.style = styleOf(surroundings.terminal);
  }

  /** Prints a view: as JSON, or as the lines that `render` makes of it. */
  show<View>(json: boolean, view: View, render: (view: View) => string[]): ExitCode {
    if (json) this.terminal.out(`${jsonText(view, 2)}\n`);
    else this.lines(render(visible(view)));
    return EXIT.done;
  }

  /** Prints lines. */
  lines(lines: string[]): void {
    this.terminal.out(lines.map((line) => `${line}\n`).join(""));
  }

  /** Says something beside the output. */
  note(line: string): void {
    this.terminal.err(`wps: ${visibleText(line)}\n`);
  }
}
