import assert from "node:assert/strict";
import { parse } from "yaml";
import { CliError } from "../../src/cli/exit.ts";
import { findSocket, plainSocket } from "../../src/cli/socket.ts";

const DEFAULT = "/run/wps/wps.sock";

Deno.test("plainSocket: whatever it is sure of, YAML says too", () => {
  const cases: Array<[string, string | undefined, string]> = [
    ["state: { directory: /s }\n", DEFAULT, "no such key: the default"],
    ["listen: { socket: /a/b.sock }\n", "/a/b.sock", "within braces"],
    ["listen: {socket: /a/b.sock, http: 127.0.0.1:80}\n", "/a/b.sock", "with another key"],
    ["listen: { http: 127.0.0.1:80, socket: /a/b.sock }\n", "/a/b.sock", "as the last key"],
    ["listen:\n  socket: /a/b.sock # here\n", "/a/b.sock", "below, with a comment"],
    [
      "listen:\n  http: 127.0.0.1:80 # the socket only, if absent\n  socket: /x\n",
      "/x",
      "the word in a comment",
    ],
    ['listen: { "socket": /a }\n', undefined, "a quoted key is left to YAML"],
    ["listen: { socket: '/a b' }\n", undefined, "a quoted value is left to YAML"],
    ["listen:\n  # socket: /old\n  socket: /new\n", undefined, "two such lines are left to YAML"],
    ["# socket: /old\nlisten: {}\n", undefined, "a comment is left to YAML"],
    ["listen: # { socket: /old }\n  http: x\n", undefined, "behind a comment sign"],
    ["listen: { socket: ${X} }\n", undefined, "no plain path"],
  ];
  for (const [text, expected, reason] of cases) {
    assert.equal(plainSocket(text), expected, reason);
    if (expected !== undefined) {
      assert.equal(parse(text)?.listen?.socket ?? DEFAULT, expected, `YAML: ${reason}`);
    }
  }
});

Deno.test("findSocket: the option, then the variable, then the configuration, then the default", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const plain = `${directory}/plain.yaml`;
    const quoted = `${directory}/quoted.yaml`;
    const broken = `${directory}/broken.yaml`;
    await Deno.writeTextFile(plain, "listen: { socket: /from/plain }\n");
    await Deno.writeTextFile(quoted, 'listen:\n  "socket": "/from/quoted"\n');
    await Deno.writeTextFile(broken, "listen: { socket: '/a\n");
    const find = (options: { socket?: string; config?: string }, environment = {}): Promise<string> =>
      findSocket({ socket: options.socket, config: options.config, environment });
    assert.equal(await find({ socket: "/s", config: plain }, { WPS_LISTEN_SOCKET: "/v" }), "/s");
    assert.equal(await find({ config: plain }, { WPS_LISTEN_SOCKET: "/v" }), "/v");
    assert.equal(
      await find({ config: plain }, { WPS_LISTEN_SOCKET: "" }),
      "/from/plain",
      "empty is not given",
    );
    assert.equal(await find({}, { WPS_CONFIG: quoted }), "/from/quoted");
    assert.equal(await find({ config: broken }), DEFAULT, "the service says what is wrong with it");
    await assert.rejects(find({ config: `${directory}/absent.yaml` }), (thrown: unknown) => {
      assert.ok(thrown instanceof CliError);
      assert.equal(thrown.code, 2);
      assert.match(thrown.message, /absent\.yaml/);
      return true;
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
