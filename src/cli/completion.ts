/** Shell completion: @optique writes the scripts, which call `wps completion SHELL WORD…` for what fits. */
import { bash, fish, type ShellCompletion, zsh } from "@optique/core/completion";
import { type Suggestion, suggestSync } from "@optique/core/parser";
import type { PermitPage } from "../api/schemas/permits.ts";
import type { Context } from "./context.ts";
import { CliError, EXIT, type ExitCode } from "./exit.ts";

const SHELLS: Readonly<Record<string, ShellCompletion>> = { bash, zsh, fish };
/** Commands whose first argument is a permit. */
const ABOUT_PERMIT: readonly string[] = [
  "status",
  "plan",
  "drift",
  "connection",
  "certificate",
  "halt",
  "resume",
];
/** More would fill the screen. */
const PERMITS_MAX = 100;

/** Prints the script of a shell, or with further words what could stand in the place of the last one. */
export async function complete(args: readonly string[], context: Context): Promise<ExitCode> {
  const [name = "", first, ...others] = args;
  const shell = Object.hasOwn(SHELLS, name) ? SHELLS[name] : undefined;
  if (shell === undefined) {
    throw new CliError(EXIT.usage, `Unknown shell ${name}`, { advice: ["Run wps completion --help"] });
  }
  if (first === undefined) {
    context.terminal.out(`${shell.generateScript("wps", ["completion", name])}\n`);
    return EXIT.done;
  }
  const suggestions = await suggest([first, ...others], context);
  context.terminal.out([...shell.encodeSuggestions(suggestions)].join(""));
  return EXIT.done;
}

async function suggest(words: readonly [string, ...string[]], context: Context): Promise<Suggestion[]> {
  const [name, ...others] = words;
  if (others.length === 0) {
    return context.commands.filter((command) => command.name.startsWith(name))
      .map((command) => ({ kind: "literal", text: command.name }));
  }
  const entry = context.commands.find((command) => command.name === name);
  if (entry === undefined) return [];
  const { command } = await entry.load();
  const known = suggestSync(command, words);
  return known.length > 0 ? [...known] : await permitIds(words, context);
}

/** Permits whose id begins like the last word, where one is expected; none while the service is away. */
async function permitIds(words: readonly string[], context: Context): Promise<Suggestion[]> {
  const [command = "", ...others] = words;
  const last = others.at(-1) ?? "";
  const isFirstArgument = ABOUT_PERMIT.includes(command) && others.length === 1 ||
    command === "uploads" && others.length === 2;
  if (!isFirstArgument && others.at(-2) !== "--permit") return [];
  try {
    const client = context.surroundings.connect({ json: false });
    const { items } = await client.getLive<PermitPage>(`/permits?limit=${PERMITS_MAX}`);
    return items.filter(({ permitId }) => permitId.startsWith(last))
      .map(({ permitId }) => ({ kind: "literal", text: permitId }));
  } catch {
    // A completion that fails must not write over the line that is being typed.
    return [];
  }
}
