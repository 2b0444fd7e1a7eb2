/** `wps completion SHELL`. */
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { argument } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { type CommandParser, localCommand } from "../args.ts";

/** See the file. */
export const command: CommandParser = localCommand(
  {
    name: "completion",
    brief: "Completion for bash, zsh or fish",
    description: "Prints a script that completes commands, options and their values.",
    examples: [
      ['eval "$(wps completion bash)"', "in ~/.bashrc"],
      ["wps completion zsh > ~/.zfunc/_wps", "in a folder of $fpath"],
      ["wps completion fish > ~/.config/fish/completions/wps.fish", "for fish"],
    ],
  },
  object({
    shell: argument(choice(["bash", "zsh", "fish"], { metavar: "SHELL" }), {
      description: message`bash, zsh or fish`,
    }),
  }),
  async ({ shell }, _common, context) => {
    const { complete } = await import("../completion.ts");
    return await complete([shell], context);
  },
);
