/** From arguments to an exit code. Every failure is said here, in one form. */
import { runParser } from "@optique/core/facade";
import { formatMessage, type Message } from "@optique/core/message";
import { suggestSync } from "@optique/core/parser";
import { didYouMean } from "../config/nearest.ts";
import type { CommandParser, Run } from "./args.ts";
import { COMMAND_GROUPS, COMMANDS } from "./commands.ts";
import { Context, type Surroundings } from "./context.ts";
import { CliError, EXIT, type ExitCode, OutputClosed, toCliError } from "./exit.ts";
import { table } from "./table.ts";
import { jsonText, visibleText } from "./text.ts";

/** The program's name in usage lines. */
const PROGRAM = "wps";
/** Help is not drawn wider than this: long lines are hard to read. */
const HELP_COLUMNS = 100;

/** Runs one command line; never throws. */
export async function runCli(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const context = new Context(surroundings, COMMANDS);
  try {
    return await dispatch(args, context);
  } catch (thrown) {
    if (thrown instanceof OutputClosed) return EXIT.done;
    const isJson = args.includes("--json");
    return explain(toCliError(thrown), isJson, context);
  }
}

async function dispatch(args: readonly string[], context: Context): Promise<ExitCode> {
  const [name = "", ...rest] = args;
  if (name === "" || name === "--help" || name === "-h" || (name === "help" && rest.length === 0)) {
    context.lines(helpLines(context));
    return name === "" ? EXIT.usage : EXIT.done;
  }
  if (name === "help") return await dispatch([...rest, "--help"], context);
  if (name === "--version" || name === "-V") return await dispatch(["version", ...rest], context);
  const entry = COMMANDS.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const names = COMMANDS.map((candidate) => candidate.name);
    const kind = name.startsWith("-") ? "option" : "command";
    throw new CliError(EXIT.usage, `Unknown ${kind} ${name}${didYouMean(name, names)}`, {
      advice: ["Run wps --help for all commands"],
    });
  }
  if (name === "completion" && rest.length > 1) {
    const { complete } = await import("./completion.ts");
    return await complete(rest, context);
  }
  const { command } = await entry.load();
  const run = parseArgs(command, args, context);
  return run === null ? EXIT.done : await run(context);
}

/** The command ready to run; null when help was shown instead. CliError with exit code 2 for anything else. */
function parseArgs(command: CommandParser, args: readonly string[], context: Context): Run | null {
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
    maxWidth: Math.min(HELP_COLUMNS, terminal.columns),
    termWidth: "auto",
    // All of them: a list that is cut helps nobody to choose.
    showChoices: { maxItems: 50 },
    stdout: (text) => terminal.out(`${text}\n`),
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

function helpLines({ style }: Context): string[] {
  return [
    "Workspace provisioning service: makes infrastructure follow the permits of a secure environment.",
    "",
    `Usage: ${PROGRAM} COMMAND [ARGUMENT...] [--json] [--help]`,
    ...COMMAND_GROUPS.flatMap(({ title, commands }) => [
      "",
      style.bold(`${title}:`),
      ...table(style, ["", ""], commands.map(({ name, brief }) => [style.bold(name.padEnd(10)), brief]), "  ")
        .slice(1),
    ]),
    "",
    "Run wps COMMAND --help for its arguments. Exit codes: 0 done, 1 failed, 2 usage, 3 not found,",
    "4 service unreachable, 5 denied.",
  ];
}

/** `isJson`: for machines, one object on a line of standard error. */
function explain(error: CliError, isJson: boolean, { terminal, surroundings }: Context): ExitCode {
  if (isJson) {
    const { message, details, advice, code: exitCode } = error;
    terminal.err(`${jsonText({ error: message, details, advice, exitCode }, 0)}\n`);
    return error.code;
  }
  const lines = [
    `wps: ${error.message}`,
    ...error.details.map((line) => `  ${line}`),
    ...error.advice.map((line) => `  -> ${line}`),
  ];
  terminal.err(lines.map((line) => `${visibleText(line)}\n`).join(""));
  if (surroundings.environment["WPS_DEBUG"] && error.cause instanceof Error) {
    terminal.err(`${error.cause.stack ?? error.cause.message}\n`);
  }
  return error.code;
}
