import assert from "node:assert/strict";
import type { Run } from "../../src/cli/args.ts";
import type { ServiceClient } from "../../src/cli/client.ts";
import { command } from "../../src/cli/commands/status.ts";
import { Context, type ServiceOptions } from "../../src/cli/context.ts";
import { parseArgs } from "../../src/cli/parse.ts";
import { quickStatus } from "../../src/cli/quick.ts";
import { processSurroundings } from "../../src/cli/surroundings.ts";
import { CapturedTerminal } from "./capture.ts";

/** What a run asks of the service, and with which options. */
async function askedBy(run: Run): Promise<unknown> {
  const asked: unknown[] = [];
  const surroundings = {
    ...processSurroundings({}, new CapturedTerminal()),
    connect: (options: ServiceOptions) => {
      asked.push({ json: options.json, config: options.config, socket: options.socket });
      const get = (path: string): Promise<never> => {
        asked.push(path);
        return Promise.reject(new Error("asked"));
      };
      return { get } as unknown as ServiceClient; // all that this command calls
    },
  };
  await assert.rejects(run(new Context(surroundings)), /asked/);
  return asked;
}

Deno.test("quickStatus: understands exactly what the parser does", async () => {
  const plain = [
    ["permit-001"],
    ["permit 1/ä"],
    ["permit-001", "--json"],
    ["--json", "permit-001"],
    ["--config", "/etc/wps/wps.yaml", "permit-001"],
    ["permit-001", "--socket", "/run/wps.sock", "--config", "wps.yaml", "--json"],
  ];
  for (const args of plain) {
    const quick = quickStatus(args) ?? assert.fail(`${args.join(" ")} is plain`);
    const context = new Context(processSurroundings({}, new CapturedTerminal()));
    const parsed = parseArgs(command, ["status", ...args], context) ?? assert.fail("no help was asked for");
    assert.deepEqual(await askedBy(quick), await askedBy(parsed), args.join(" "));
  }
});

Deno.test("quickStatus: leaves to the parser whatever is spelled otherwise", () => {
  const others: [args: string[], why: string][] = [
    [[], "the parser says what is missing"],
    [["--help"], "help"],
    [["-h", "permit-001"], "help"],
    [["permit-001", "permit-002"], "one too many"],
    [["permit-001", "--config=/x"], "a value in the same word"],
    [["permit-001", "--config"], "a value is missing"],
    [["permit-001", "--socket", "--json"], "a value is missing"],
    [["permit-001", "--json", "--json"], "said twice"],
    [["permit-001", "--socket", "/a", "--socket", "/b"], "said twice"],
    [["permit-001", "--jsn"], "an option that there is not"],
    [["--", "-permit"], "a permit like an option"],
    [[""], "no name"],
  ];
  for (const [args, why] of others) assert.equal(quickStatus(args), null, why);
});
