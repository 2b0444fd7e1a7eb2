import assert from "node:assert/strict";
import { disk } from "../../src/config/disk.ts";
import { loadConfig } from "../../src/config/load.ts";
import { problemLine } from "../../src/config/problem.ts";
import { requireOrReport } from "../cluster/harness.ts";
import { mountedSecrets, readCompose } from "../docs/compose_file.ts";
import { readRepository } from "../docs/repository.ts";
import { Daemon, freePort } from "../services/daemon.ts";
import { until } from "../services/until.ts";

const noRedis = !(await requireOrReport("redis"));
const COMPOSE = readCompose(readRepository("compose.yaml"));

/** A folder with the script as the repository has it, and what it made there. */
async function withSecrets(
  use: (folder: string, again: () => Promise<string>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "wps-compose-" });
  const run = async (): Promise<string> => {
    const command = new Deno.Command(`${folder}/deploy/compose-secrets.sh`, { cwd: "/", stdin: "null" });
    const { success, stdout, stderr } = await command.output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.ok(success, said);
    return said;
  };
  try {
    await Deno.mkdir(`${folder}/deploy`);
    const script = new URL("../../deploy/compose-secrets.sh", import.meta.url);
    await Deno.copyFile(script, `${folder}/deploy/compose-secrets.sh`);
    await run();
    await use(folder, run);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function shell(script: string): Promise<boolean> {
  const { success } = await new Deno.Command("sh", { args: ["-c", script], stdin: "null", stdout: "null" })
    .output();
  return success;
}

Deno.test("deploy/compose-secrets.sh: makes each file once, in a folder for its owner alone", async () => {
  await withSecrets(async (folder, again) => {
    const names = Object.values(COMPOSE.secrets).map(({ file }) => file.replace("./secrets/", ""));
    const made = [...Deno.readDirSync(`${folder}/secrets`)].map(({ name }) => name);
    assert.deepEqual(made.sort(), names.sort());
    const { mode } = await Deno.stat(`${folder}/secrets`);
    assert.equal((mode ?? 0) & 0o777, 0o700);
    const read = (): Promise<string[]> =>
      Promise.all(names.map((name) => disk.read(`${folder}/secrets/${name}`)));
    const before = await read();
    const said = await again();
    assert.match(said, /exists and stays as it is/);
    assert.deepEqual(await read(), before);
    assert.doesNotMatch(said, /[0-9a-f]{48}/, "no secret on the terminal");
  });
});

Deno.test("deploy/compose-secrets.sh: WPS takes what it makes, and RabbitMQ knows the same password", async () => {
  await withSecrets(async (folder) => {
    const inside = mountedSecrets(COMPOSE, "wps");
    const files = {
      list: disk.list,
      read: (path: string): Promise<string> => {
        const outside = inside.get(path);
        return outside === undefined
          ? Promise.reject(new Deno.errors.NotFound(path))
          : disk.read(`${folder}/${outside}`);
      },
    };
    const environment = COMPOSE.services.wps?.environment ?? {};
    const { config, problems } = await loadConfig({ path: null, environment, files });
    assert.ok(config !== null, problems.map(problemLine).join("\n"));
    const { username, password } = new URL(config.broker?.url ?? "");
    const rabbit = await disk.read(`${folder}/secrets/rabbitmq.conf`);
    assert.equal(rabbit, `default_user = ${username}\ndefault_pass = ${password}\n`);
    const secrets = [config.api.key, password, new URL(config.redis?.url ?? "").password];
    assert.equal(new Set(secrets).size, 3);
    for (const secret of secrets) assert.match(secret ?? "", /^[0-9a-f]{48}$/);
  });
});

Deno.test("compose.yaml: Redis takes its file, refuses who has no password, and its health check works", {
  ignore: noRedis,
}, async () => {
  await withSecrets(async (folder) => {
    const port = freePort();
    const server = await Daemon.start({
      name: "redis",
      command: "/usr/bin/redis-server",
      args: [`${folder}/secrets/redis.conf`, "--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder],
      env: {},
      logPath: `${folder}/redis.log`,
      folder,
    });
    try {
      const check = (COMPOSE.services.redis?.healthcheck.test.at(-1) ?? "").replaceAll("$$", "$")
        .replace("/run/secrets/", `${folder}/secrets/`).replace("redis-cli", `redis-cli -p ${port}`);
      await until("the health check passes", async () => {
        if (!server.alive()) throw new Error(`Redis ended:\n${server.lastWords()}`);
        return await shell(check);
      });
      assert.equal(await shell(`redis-cli -p ${port} ping | grep -qx PONG`), false, "without the password");
      assert.equal(await shell(check.replace(`secrets/redis.conf`, "redis.log")), false, "with a wrong one");
    } finally {
      await server.end("SIGKILL");
    }
  });
});
