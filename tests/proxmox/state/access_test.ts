import assert from "node:assert/strict";
import { loadSchema } from "../schema/schema.ts";
import { onStage, qemu } from "../stage.ts";
import { Access, type Grant, normalizePath, PRIVILEGES } from "./access.ts";

const schema = loadSchema();

function accessWith(grants: Array<Partial<Grant> & Pick<Grant, "path" | "role">>): Access {
  const access = new Access((path) => path === "/vms/101" ? "ws" : undefined);
  access.roles.set("Audit", new Set(["VM.Audit"]));
  access.roles.set("Power", new Set(["VM.PowerMgmt"]));
  access.users.set("a@pve", {
    enable: true,
    expire: 0,
    groups: new Set(["team"]),
    tokens: new Map([["own", { secret: "s", isSeparated: true, expire: 0 }], [
      "same",
      { secret: "s", isSeparated: false, expire: 0 },
    ]]),
  });
  access.grants = grants.map((grant) => ({ kind: "user", holder: "a@pve", propagate: true, ...grant }));
  return access;
}

Deno.test("Access: which grant counts where", () => {
  const own = { kind: "token", holder: "a@pve!own" } as const;
  const cases: Array<[string, Parameters<typeof accessWith>[0], string, string | undefined, string]> = [
    ["nothing is given by itself", [], "/vms/101", undefined, ""],
    ["handed on from above", [{ path: "/", role: "Audit" }], "/vms/101", undefined, "VM.Audit"],
    ["not handed on", [{ path: "/vms", role: "Audit", propagate: false }], "/vms/101", undefined, ""],
    ["but valid there", [{ path: "/vms", role: "Audit", propagate: false }], "/vms", undefined, "VM.Audit"],
    [
      "a longer path takes its place",
      [{ path: "/", role: "Audit" }, { path: "/vms/102", role: "Power" }],
      "/vms/102",
      undefined,
      "VM.PowerMgmt",
    ],
    [
      "no access takes all",
      [{ path: "/", role: "Audit" }, { path: "/vms", role: "NoAccess" }],
      "/vms/102",
      undefined,
      "",
    ],
    [
      "two roles add up",
      [{ path: "/", role: "Audit" }, { path: "/", role: "Power" }],
      "/",
      undefined,
      "VM.Audit VM.PowerMgmt",
    ],
    [
      "a pool's grant counts for its VMs",
      [{ path: "/pool/ws", role: "Audit" }],
      "/vms/101",
      undefined,
      "VM.Audit",
    ],
    ["and for no other", [{ path: "/pool/ws", role: "Audit" }], "/vms/102", undefined, ""],
    [
      "a group's counts for its members",
      [{ path: "/", role: "Audit", kind: "group", holder: "team" }],
      "/",
      undefined,
      "VM.Audit",
    ],
    ["a separated token has nothing of its user's", [{ path: "/", role: "Audit" }], "/", "own", ""],
    ["nor of its own alone", [{ path: "/", role: "Audit", ...own }], "/", "own", ""],
    [
      "only what both have",
      [{ path: "/", role: "Audit" }, { path: "/", role: "Power" }, { path: "/", role: "Audit", ...own }],
      "/",
      "own",
      "VM.Audit",
    ],
    ["one that is not separated has all", [{ path: "/", role: "Audit" }], "/", "same", "VM.Audit"],
  ];
  for (const [reason, grants, path, token, expected] of cases) {
    const access = accessWith(grants);
    const privileges = access.principal("a@pve", token).privileges(path);
    assert.equal([...privileges.keys()].sort().join(" "), expected, reason);
  }
  assert.equal(accessWith([]).principal("root@pam").privileges("/anything").size, PRIVILEGES.length);
});

Deno.test("normalizePath: slashes, and characters that no path has", () => {
  const cases: Array<[string, string | undefined]> = [
    ["/", "/"],
    ["", "/"],
    ["//vms//101/", "/vms/101"],
    ["vms", "/vms"],
    ["/pool/bad name", undefined],
  ];
  for (const [path, expected] of cases) assert.equal(normalizePath(path), expected, path);
});

Deno.test("access: role, user, token and grant are made by the API, and gone with their user", async () => {
  await onStage(schema, async ({ root, as, world }) => {
    await root.run("POST", "/access/roles", { roleid: "Looker", privs: "VM.Audit" });
    await root.run("POST", "/access/users", { userid: "new@pve" });
    const { data } = await root.send("POST", "/access/users/new@pve/token/t1", { privsep: 1 });
    const { value } = data as { value: string }; // the double's own answer
    const client = as(`new@pve!t1=${value}`);
    const look = async (): Promise<number> => (await client.send("GET", qemu(9000, "/config"))).status;
    assert.equal(await look(), 403);
    await root.run("PUT", "/access/acl", { path: "/vms/9000", roles: "Looker", users: "new@pve" });
    assert.equal(await look(), 403, "the token has nothing yet");
    await root.run("PUT", "/access/acl", { path: "/vms/9000", roles: "Looker", tokens: "new@pve!t1" });
    assert.equal(await look(), 200);
    await root.run("PUT", "/access/roles/Looker", { privs: "VM.PowerMgmt" });
    assert.equal(await look(), 403);
    await root.run("PUT", "/access/roles/Looker", { privs: "VM.Audit", append: 1 });
    assert.equal(await look(), 200);
    await root.run("DELETE", "/access/users/new@pve");
    assert.equal(await look(), 401);
    assert.deepEqual(world.access.grants.filter(({ holder }) => holder.startsWith("new@pve")), []);
    const bogus = await root.send("POST", "/access/roles", { roleid: "X", privs: "VM.Monitor" });
    assert.match(
      bogus.errors?.["privs"] ?? "",
      /invalid privilege 'VM.Monitor'/,
      "it is gone since version 9",
    );
  });
});

Deno.test("access: who may not change rights cannot", async () => {
  await onStage(schema, async ({ broad }) => {
    const grant = await broad.send("PUT", "/access/acl", {
      path: "/",
      roles: "Administrator",
      users: "prov@pve",
    });
    assert.equal(grant.reason, "Permission check failed (/, Permissions.Modify)");
    const role = await broad.send("POST", "/access/roles", { roleid: "Mine", privs: "VM.Audit" });
    assert.equal(role.reason, "Permission check failed (/access, Sys.Modify)");
  });
});
