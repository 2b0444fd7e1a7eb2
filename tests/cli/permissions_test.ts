/** WPS runs with the permissions of its own task and executable, and they are enough. */
import assert from "node:assert/strict";
import { PERMISSIONS } from "../../deploy/compile.ts";
import { rootFolder } from "../run/sources.ts";
import { TestSite } from "./site.ts";

Deno.test("permissions: a configuration is checked with those that WPS is started with, this machine's folders included", async () => {
  const site = await TestSite.make();
  try {
    await Deno.mkdir(`${site.directory}/state`);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", ...PERMISSIONS, "main.ts", "config", "check", "--config", site.config],
      cwd: rootFolder(),
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    const said = text.decode(stdout) + text.decode(stderr);
    assert.equal(code, 0, said);
    assert.doesNotMatch(said, /NotCapable|permission/i);
  } finally {
    await Deno.remove(site.directory, { recursive: true });
  }
});
