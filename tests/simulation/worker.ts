// Plays runs: reads a spec per line from stdin, writes a result per line to stdout.
import { TextLineStream } from "./lines.ts";
import { play } from "./run.ts";
import { within } from "./surroundings.ts";
import { fromWire, resultToWire, type WireSpec } from "./wire.ts";

for await (
  const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
) {
  const wire: WireSpec = JSON.parse(line);
  const spec = fromWire(wire);
  const result = await within((surroundings) => play(spec, surroundings));
  console.log(JSON.stringify(resultToWire(spec.seed, result)));
}
