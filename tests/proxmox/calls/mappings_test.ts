import assert from "node:assert/strict";
import { loadSchema } from "../schema/schema.ts";
import { requestOf } from "../client.ts";
import { RECORDED_TOKENS } from "../recorded_site.ts";
import { onStage } from "../stage.ts";

const schema = loadSchema();
const DIR = "/cluster/mapping/dir";

Deno.test("mappings: made by the site, seen by who may use one, and told what is wrong with it", async () => {
  await onStage(schema, async ({ root, narrow }) => {
    await root.run("POST", DIR, { id: "project", map: "node=pve1,path=/srv/project" });
    const body = { id: "gone", map: ["node=pve1,path=/srv/gone"], description: "no more" };
    assert.equal((await root.raw(requestOf("POST", DIR, body, RECORDED_TOKENS.root, "json"))).status, 200);
    await root.run("POST", DIR, { id: "elsewhere", map: "node=pve2,path=/srv/project" });
    const checks = JSON.stringify(await root.get(`${DIR}?check-node=pve1`));
    assert.match(checks, /"id":"project"[^{]*"checks":\[\]/);
    assert.match(checks, /"severity":"error","message":"directory \/srv\/gone does not exist"/);
    assert.match(checks, /"severity":"warning","message":"No mapping for node pve1\."/);
    assert.deepEqual(await narrow.get(DIR), [{
      id: "project",
      type: "dir",
      map: ["node=pve1,path=/srv/project"],
    }]);
    assert.equal((await narrow.send("DELETE", `${DIR}/project`)).status, 403);
    await root.run("DELETE", `${DIR}/project`);
    assert.equal((await root.send("GET", `${DIR}/project`)).status, 500);
  }, {
    change: (site) => {
      site.roles["Mapper"] = ["Mapping.Use"];
      site.grants["/mapping/dir/project"] = { "wsp@pve": "Mapper", "wsp@pve!rec": "Mapper" };
    },
  });
});
