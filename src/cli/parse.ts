/** Arguments read by @optique. Loaded only when it is needed: that takes 20 of 75 ms of `wps status`. */
import { runParser } from "@optique/core/facade";
import { formatMessage, type Message } from "@optique/core/message";
import { suggestSync } from "@optique/core/parser";
import { didYouMean } from "../config/nearest.ts";
import type { CommandParser, Run } from "./args.ts";
import type { Context } from "./context.ts";
import { CliError, EXIT } from "./exit.ts";
import { foldHelp } from "./help_text.ts";

/** The program's name in usage lines. */
const PROGRAM = "wps";
/** Help is not drawn wider than this: long lines are hard to read. */
const HELP_COLUMNS = 100;

/** The command ready to run; null when help was shown instead. CliError with exit code 2 for anything else. */
export function parseArgs(command: CommandParser, args: readonly string[], context: Context): Run | null {
  let wrong: Message | null = null;
  let shown = false;
  const { terminal } = context;
  const run = runParser<CommandParser, void, void>(command, PROGRAM, args, {
    help: {
      option: { names: ["-h", "--help"] },
      onShow: () => {
        shown = true;
      },
    },
    aboveError: "none",
    colors: terminal.hasColour,
    termWidth: "auto",
    // All of them: a list that is cut helps nobody to choose.
    showChoices: { maxItems: 50 },
    stdout: (text) => terminal.out(`${foldHelp(text, Math.min(HELP_COLUMNS, terminal.columns))}\n`),
    stderr: () => {},
    onError: (_code, message) => {
      wrong = message;
    },
  });
  if (wrong !== null) throw usageError(wrong, command, args);
  return shown ? null : run;
}

/** @optique's own message, with the nearest known word where one was not known. */
function usageError(wrong: Message, command: CommandParser, args: readonly string[]): CliError {
  const [name = "", next = ""] = args;
  const leaves = wordsAfter(command, [name], "");
  const advice = [`Run wps ${leaves.includes(next) ? `${name} ${next}` : name} --help`];
  const [first, second] = wrong;
  const token = second?.type === "optionName"
    ? second.optionName
    : second?.type === "value"
    ? second.value
    : null;
  if (token === null || first?.type !== "text" || !first.text.startsWith("Unexpected ")) {
    if (args.length === 1 && leaves.length > 0) {
      return new CliError(EXIT.usage, `wps ${name} needs one of ${leaves.join(", ")}`, { advice });
    }
    const message = formatMessage(wrong, { colors: false, quotes: false }).replace(/\.$/, "");
    const missing = /^Expected an? (\S+), but too few arguments$/.exec(message)?.[1];
    if (missing === undefined) return new CliError(EXIT.usage, message, { advice });
    const named = leaves.includes(next) ? `${name} ${next}` : name;
    return new CliError(EXIT.usage, `wps ${named} needs ${missing}`, { advice });
  }
  const isOption = token.startsWith("-");
  const at = args.indexOf(token);
  const known = wordsAfter(command, args.slice(0, at < 0 ? args.length : at), isOption ? "--" : "");
  const kind = isOption ? "option" : known.length > 0 ? "command" : "argument";
  return new CliError(EXIT.usage, `Unknown ${kind} ${token}${didYouMean(token, known)}`, { advice });
}

/** The words that could follow, options only where `prefix` begins one. */
function wordsAfter(command: CommandParser, before: readonly string[], prefix: "" | "--"): string[] {
  const [first = prefix, ...others] = [...before, prefix];
  return suggestSync(command, [first, ...others])
    .flatMap((suggestion) => suggestion.kind === "literal" ? [suggestion.text] : [])
    .filter((word) => word.startsWith("-") === (prefix === "--"));
}
