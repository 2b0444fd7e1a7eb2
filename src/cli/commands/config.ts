/** `wps config check|show`. */
import { object } from "@optique/core/constructs";
import { branch, type CommandParser, localCommand } from "../args.ts";
import { EXIT } from "../exit.ts";
import { loadHeavy } from "../heavy.ts";

const check = localCommand(
  {
    name: "check",
    brief: "Whether the configuration and the phases are as they should be",
    description:
      "Checks the file, the environment over it, the files with secrets, the phases, and whether they fit " +
      "each other. Ends with 1 when something is wrong. Starts and changes nothing.",
    examples: [
      ["wps config check", "what the service would use"],
      ["wps config check --config new.yaml", "before it is installed"],
    ],
  },
  object({}),
  async (_given, common, context) => {
    const { jointProblems, readConfig, readPhases } = await loadHeavy("./setup.ts");
    const { problemLine } = await import("../../config/problem.ts");
    const read = await readConfig(common.config, context.surroundings.environment);
    const problems = [...read.problems];
    if (read.config !== null) {
      const { phases, problems: wrong } = await readPhases(read.config.phases.directory);
      problems.push(...wrong);
      if (phases !== null) problems.push(...jointProblems(read.config, phases, read.file));
    }
    const file = read.file ?? "no file, only defaults and environment";
    const verdict = { file: read.file, valid: problems.length === 0, problems };
    context.show(
      common.json,
      verdict,
      (view) =>
        view.valid
          ? [`${context.style.signs.ok} ${file}: as it should be`]
          : [...view.problems.map(problemLine), `${view.problems.length} wrong in ${file}`],
    );
    return verdict.valid ? EXIT.done : EXIT.failed;
  },
);

const show = localCommand(
  {
    name: "show",
    brief: "The configuration in force, defaults included, secrets hidden",
    description:
      "Shows what the service would use: the file, the environment over it, and defaults. Durations are " +
      "in milliseconds.",
    examples: [["wps config show --json | jq .listen", "one section"]],
  },
  object({}),
  async (_given, common, context) => {
    const { requireConfig } = await loadHeavy("./setup.ts");
    const { describeConfig } = await import("../../config/describe.ts");
    const { config, file, overridden } = await requireConfig(common.config, context.surroundings.environment);
    const shown = describeConfig(config);
    if (common.json) return context.show(true, shown, () => []);
    const { stringify } = await import("yaml");
    const from = [...overridden].map(([key, variable]) => `# ${key} comes from ${variable}`);
    const head = `# ${file ?? "no file: defaults and environment"}`;
    return context.show(false, {}, () => [head, ...from, ...stringify(shown).trimEnd().split("\n")]);
  },
);

/** See the file. */
export const command: CommandParser = branch(
  {
    name: "config",
    brief: "The configuration: check, show",
    description: "One YAML file, with the environment over it.",
  },
  check,
  show,
);
