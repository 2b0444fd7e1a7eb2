import assert from "node:assert/strict";
import { wps } from "./capture.ts";

async function suggestions(...words: string[]): Promise<string[]> {
  const { stdout } = await wps(["completion", "bash", ...words]);
  return stdout.split("\n").filter((line) => line !== "");
}

Deno.test("wps completion: a script for each shell, which asks wps again", async () => {
  for (
    const [shell, mark] of [["bash", /complete .*wps/], ["zsh", /compdef .*wps/], ["fish", /complete -c wps/]]
  ) {
    const { code, stdout, stderr } = await wps(["completion", `${shell}`]);
    assert.deepEqual([code, stderr], [0, ""], `${shell}`);
    assert.match(stdout, new RegExp(mark ?? ""), `${shell}`);
    assert.match(stdout, /wps.*completion/, `${shell} asks for what fits`);
  }
});

Deno.test("wps completion SHELL: its own options are not words of a line that is being typed", async () => {
  const { stdout: script } = await wps(["completion", "bash"]);
  const { code, stdout } = await wps(["completion", "bash", "--config", "wps.yaml"]);
  assert.deepEqual([code, stdout], [0, script]);
  const wrong = await wps(["completion", "bash", "--confg", "wps.yaml"]);
  assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
});

Deno.test("wps completion: commands, subcommands, options and their values", async () => {
  const has = async (words: string[], expected: string[], reason: string): Promise<void> => {
    const found = await suggestions(...words);
    for (const word of expected) assert.ok(found.includes(word), `${reason}: ${word} in ${found.join(" ")}`);
  };
  await has(["st"], ["status"], "commands");
  await has([""], ["status", "jobs", "serve", "completion"], "every command");
  await has(["jobs", ""], ["list", "show", "retry", "cancel"], "subcommands");
  await has(["uploads", ""], ["show", "accept"], "subcommands about a permit");
  await has(["jobs", "list", "--st"], ["--state"], "options");
  await has(["jobs", "list", "--state", ""], ["queued", "failed"], "values of an option");
  await has(["completion", ""], ["bash", "zsh", "fish"], "shells");
});
