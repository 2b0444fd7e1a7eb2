/** Shell completion: @optique writes the scripts, which call `wps completion SHELL WORD…` for what fits. */
import { bash, fish, zsh } from "@optique/core/completion";
import { runParser } from "@optique/core/facade";
import { type CommandParser, either } from "./args.ts";
import { COMMANDS } from "./commands.ts";
import type { Context } from "./context.ts";
import { EXIT, type ExitCode } from "./exit.ts";

/** The shells that are known. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** Prints the script of a shell, or with further words what could stand in the place of the last one. */
export async function complete(args: readonly string[], { terminal }: Context): Promise<ExitCode> {
  const others = COMMANDS.filter(({ name }) => name !== "completion");
  const parsers = await Promise.all(others.map(async ({ load }) => (await load()).command));
  let code: ExitCode = EXIT.done;
  runParser<CommandParser, void, void>(either(parsers), "wps", ["completion", ...args], {
    completion: { command: true, shells: { bash, zsh, fish }, onShow: () => {} },
    help: { option: { names: ["-h", "--help"] }, onShow: () => {} },
    aboveError: "none",
    stdout: (text) => terminal.out(`${text}\n`),
    stderr: (text) => terminal.err(`${text}\n`),
    onError: () => {
      code = EXIT.usage;
    },
  });
  return code;
}
