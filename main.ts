/** The program: arguments in, exit code out. */
import { runCli } from "./src/cli/run.ts";
import { processSurroundings } from "./src/cli/surroundings.ts";

if (import.meta.main) {
  const surroundings = processSurroundings();
  Deno.exitCode = await runCli(Deno.args, surroundings);
  await surroundings.close();
}
