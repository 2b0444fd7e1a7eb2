/** From arguments to an exit code. Every failure is said here, in one form. */
import { didYouMean } from "../config/nearest.ts";
import type { Run } from "./args.ts";
import { COMMAND_GROUPS, type CommandEntry, COMMANDS } from "./commands.ts";
import { Context, type Surroundings } from "./context.ts";
import { CliError, EXIT, type ExitCode, OutputClosed, toCliError } from "./exit.ts";
import { table } from "./table.ts";
import { jsonText, visibleText } from "./text.ts";

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
  if (name === "completion" && isAsked(rest)) {
    const { complete } = await import("./completion.ts");
    return await complete(rest, context);
  }
  const run = await quickRun(args) ?? await parsedRun(entry, args, context);
  return run === null ? EXIT.done : await run(context);
}

/**
 * Whether a shell's script asks what fits: it gives the words of the line that is being typed, and the first is a
 * command's name or its beginning. An option is the person's own.
 */
function isAsked([, first]: readonly string[]): boolean {
  return first !== undefined && !first.startsWith("-");
}

/** Null where the arguments are not so plain that no parser is needed. */
async function quickRun(args: readonly string[]): Promise<Run | null> {
  if (args[0] !== "status") return null;
  const { quickStatus } = await import("./quick.ts");
  return quickStatus(args.slice(1));
}

/** Null when help was shown instead. */
async function parsedRun(
  entry: CommandEntry,
  args: readonly string[],
  context: Context,
): Promise<Run | null> {
  const [{ command }, { parseArgs }] = await Promise.all([entry.load(), import("./parse.ts")]);
  return parseArgs(command, args, context);
}

function helpLines({ style }: Context): string[] {
  return [
    "Workspace provisioning service: makes infrastructure follow the permits of a secure environment.",
    "",
    `Usage: wps COMMAND [ARGUMENT...] [--json] [--help]`,
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
