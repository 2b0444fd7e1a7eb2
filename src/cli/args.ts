/** How commands describe their arguments; @optique parses them, writes their help and completes them. */
import { group, object, or } from "@optique/core/constructs";
import { lineBreak, type Message, message, text } from "@optique/core/message";
import { map, optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { argument, command, flag, option } from "@optique/core/primitives";
import { integer, string, type ValueParser } from "@optique/core/valueparser";
import type { CommonOptions, Context, ServiceOptions } from "./context.ts";
import type { ExitCode } from "./exit.ts";

/** A command with its arguments, ready to run. */
export type Run = (context: Context) => Promise<ExitCode>;
/** What a command line is parsed to. */
export type CommandParser = Parser<"sync", Run, unknown>;
/** One argument or option. */
export type Field<Value> = Parser<"sync", Value, unknown>;

/** What a command says of itself. */
export interface CommandDoc {
  name: string;
  /** One line for lists of commands, without a full stop. */
  brief: string;
  /** What a person must know before using it. */
  description: string;
  /** Command lines, each with what it is for. */
  examples: readonly [line: string, purpose: string][];
}

const json = withDefault(flag("--json", { description: message`Print JSON for machines` }), false);
const config = optional(option("--config", string({ metavar: "FILE" }), {
  description: message`Configuration file, instead of WPS_CONFIG or /etc/wps/wps.yaml`,
}));
const socket = optional(option("--socket", string({ metavar: "PATH" }), {
  description: message`Socket of the service, instead of listen.socket of the configuration`,
}));

const serviceOptions = group("Common options", object({ json, config, socket }));
const localOptions = group("Common options", object({ json, config }));

/** A command that talks to the service. */
export function serviceCommand<Own>(
  doc: CommandDoc,
  own: Parser<"sync", Own, unknown>,
  run: (given: Own, common: ServiceOptions, context: Context) => Promise<ExitCode>,
): CommandParser {
  const start = map(
    own,
    (given) => (common: ServiceOptions, context: Context) => run(given, common, context),
  );
  const whole = object({ start, common: serviceOptions });
  return leaf(doc, map(whole, ({ start, common }): Run => (context) => start(common, context)));
}

/** A command that needs no service. */
export function localCommand<Own>(
  doc: CommandDoc,
  own: Parser<"sync", Own, unknown>,
  run: (given: Own, common: CommonOptions, context: Context) => Promise<ExitCode>,
): CommandParser {
  const start = map(own, (given) => (common: CommonOptions, context: Context) => run(given, common, context));
  const whole = object({ start, common: localOptions });
  return leaf(doc, map(whole, ({ start, common }): Run => (context) => start(common, context)));
}

/** A command that is only a name for several others. */
export function branch(doc: Omit<CommandDoc, "examples">, ...leaves: CommandParser[]): CommandParser {
  return command(doc.name, either(leaves), {
    brief: plain(doc.brief),
    description: plain(doc.description),
  });
}

/** One of several commands; @optique's `or` takes 15 at most. */
export function either(parsers: CommandParser[]): CommandParser {
  const [first, ...others] = parsers;
  if (first === undefined) throw new TypeError("Cannot choose between no commands");
  return others.reduce((chosen, next) => or(chosen, next), first);
}

function leaf(doc: CommandDoc, parser: CommandParser): CommandParser {
  return command(doc.name, parser, {
    brief: plain(doc.brief),
    description: plain(doc.description),
    footer: exampleLines(doc.examples),
  });
}

function exampleLines(examples: CommandDoc["examples"]): Message {
  const width = Math.max(0, ...examples.map(([line]) => line.length));
  const lines = examples.map(([line, purpose]) => `  ${line.padEnd(width)}  ${purpose}`);
  return [text("Examples:"), ...lines.flatMap((line) => [lineBreak(), text(line)])];
}

/** A text as it stands; @optique would quote what is put into a template. */
function plain(words: string): Message {
  return [text(words)];
}

/** `PERMIT`: a permit's id. */
export function permitArgument(): Field<string> {
  return argument(string({ metavar: "PERMIT" }), { description: message`The permit's id` });
}

/** A positional number, e.g. a job's. */
export function numberArgument(metavar: "ID" | "SEQ", description: string): Field<number> {
  return argument(integer({ min: 1, metavar }), { description: plain(description) });
}

/** `--name VALUE`; undefined when it is not given. */
export function choiceOption<Value>(
  name: `--${string}`,
  parser: ValueParser<"sync", Value>,
  description: string,
): Field<Value | undefined> {
  return optional(option(name, parser, { description: plain(description) }));
}

/** `--name`. */
export function switchOption(
  names: readonly [`--${string}`] | readonly [`-${string}`, `--${string}`],
  description: string,
): Field<boolean> {
  const options = { description: plain(description) };
  const parser = names.length === 1 ? flag(names[0], options) : flag(names[0], names[1], options);
  return withDefault(parser, false);
}

/** `--limit N`: rows of a list. */
export function limitOption(): Field<number> {
  const description = message`At most so many rows, 50 where nothing is said`;
  return withDefault(option("--limit", integer({ min: 1, max: 10_000, metavar: "N" }), { description }), 50);
}
