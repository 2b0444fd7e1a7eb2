/** `wps phases check|show`. */
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { branch, choiceOption, type CommandParser, localCommand } from "../args.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Environment } from "../terminal.ts";
import { loadHeavy } from "../heavy.ts";
import { counted } from "../text.ts";

const check = localCommand(
  {
    name: "check",
    brief: "Whether phase files are as they should be and break no invariant",
    description:
      "Checks the built-in phases with DIR over them; without DIR the folder of the configuration. Ends " +
      "with 1 and says file, line, column and reason when something is wrong.",
    examples: [
      ["wps phases check", "what the service would use"],
      ["wps phases check ./phases", "before they are installed"],
    ],
  },
  object({
    directory: optional(argument(string({ metavar: "DIR" }), {
      description: message`A folder with phase files of the site`,
    })),
  }),
  async ({ directory }, common, context) => {
    const { readPhases } = await loadHeavy("./setup.ts");
    const { problemLine } = await import("../../config/problem.ts");
    const site = directory ?? await configuredDirectory(common.config, context.surroundings.environment);
    const { phases, overridden, problems } = await readPhases(site);
    const names = phases === null ? null : {
      statuses: [...phases.statuses.keys()],
      events: [...phases.events.keys()],
      volumes: [...phases.volumes.keys()],
    };
    const verdict = { directory: site, valid: phases !== null, ...names, overridden, problems };
    context.show(common.json, verdict, (view) => {
      if (names === null) {
        return [...view.problems.map(problemLine), counted(view.problems.length, "problem")];
      }
      const from = view.directory === null
        ? "the built-in phases"
        : `${view.directory} over the built-in phases`;
      const replaced = view.overridden.length === 0 ? [] : [`  replaced: ${view.overridden.join(", ")}`];
      return [
        `${context.style.signs.ok} ${from}: ${names.statuses.length} statuses, ${
          counted(names.events.length, "event")
        }, ` +
        `${names.volumes.length} volumes, as they should be`,
        ...replaced,
      ];
    });
    return verdict.valid ? EXIT.done : EXIT.failed;
  },
);

const show = localCommand(
  {
    name: "show",
    brief: "What a status or event means",
    description:
      "Shows which workspaces exist in a status, what they mount and reach, and what happens on the way; " +
      "without STATUS the names of all.",
    examples: [
      ["wps phases show", "all names"],
      ["wps phases show ANALYSIS_ACTIVE", "one status"],
      ["wps phases show permit.ingress.initiated", "one event"],
    ],
  },
  object({
    status: optional(argument(string({ metavar: "STATUS" }), {
      description: message`A status, or an event's type`,
    })),
    directory: choiceOption(
      "--dir",
      string({ metavar: "DIR" }),
      "Phase files of the site, instead of the configured",
    ),
  }),
  async ({ status, directory }, common, context) => {
    const { readPhases } = await loadHeavy("./setup.ts");
    const { problemLine } = await import("../../config/problem.ts");
    const { didYouMean } = await import("../../config/nearest.ts");
    const { describeLines, describePhase } = await loadHeavy("../phases/describe.ts");
    const { phases, problems } = await readPhases(
      directory ?? await configuredDirectory(common.config, context.surroundings.environment),
    );
    if (phases === null) {
      throw new CliError(EXIT.failed, "Cannot show the phases: they are not as they should be", {
        details: problems.map(problemLine),
        advice: ["Correct them and run wps phases check"],
      });
    }
    const names = [...phases.statuses.keys(), ...phases.events.keys()];
    if (status === undefined) {
      const rows = names.map((name) => {
        const phase = phases.statuses.get(name) ?? phases.events.get(name);
        return { name, title: phase?.title ?? "", kind: phases.statuses.has(name) ? "status" : "event" };
      });
      const { table } = await import("../table.ts");
      return context.show(
        common.json,
        rows,
        (view) =>
          table(
            context.style,
            ["NAME", "KIND", "TITLE"],
            view.map(({ name, kind, title }) => [name, kind, title]),
          ),
      );
    }
    const phase = describePhase(phases, status);
    if (phase === null) {
      throw new CliError(EXIT.notFound, `Cannot find a phase named ${status}${didYouMean(status, names)}`, {
        advice: ["Run wps phases show for all names"],
      });
    }
    return context.show(common.json, phase, (view) => describeLines(view));
  },
);

/** See the file. */
export const command: CommandParser = branch(
  {
    name: "phases",
    brief: "What each status means: check, show",
    description: "A phase says what should exist; a site can override each and add its own.",
  },
  check,
  show,
);

/** `phases.directory` of the configuration; null without a configuration or where it names none. */
async function configuredDirectory(
  path: string | undefined,
  environment: Environment,
): Promise<string | null> {
  const { readConfig } = await loadHeavy("./setup.ts");
  const { problemLine } = await import("../../config/problem.ts");
  const read = await readConfig(path, environment);
  if (read.config !== null) return read.config.phases.directory;
  // Nobody named a configuration and there is none: an engineer at work on phase files alone.
  if (path === undefined && read.file === null) return null;
  throw new CliError(EXIT.usage, "Cannot find the phases: the configuration is not as it should be", {
    details: read.problems.map(problemLine),
    advice: ["Name their folder, or correct the configuration and run wps config check"],
  });
}
