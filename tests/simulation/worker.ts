// Plays runs below the folder that is its argument: reads a spec per line from stdin, writes a result per line to stdout.
import { linesOf } from "../../src/drivers/kubernetes/watch.ts";
import { play } from "./run.ts";
import { within } from "./surroundings.ts";
import { fromWire, resultToWire, type WireSpec } from "./wire.ts";

for await (const line of linesOf(Deno.stdin.readable, () => {})) {
  const wire: WireSpec = JSON.parse(line);
  const spec = fromWire(wire);
  const result = await within((surroundings) => play(spec, surroundings), Deno.args[0]);
  console.log(JSON.stringify(resultToWire(spec.seed, result)));
}
