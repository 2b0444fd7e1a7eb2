import assert from "node:assert/strict";
import { parseUpid } from "../../../src/drivers/proxmox/upid.ts";

const CLONE = "UPID:pve1:0000A1B2:00C3D4E5:6921F0AB:qmclone:9000:prov@pve!t0:";

Deno.test("parseUpid: takes a task's name apart", () => {
  assert.deepEqual(parseUpid(CLONE), {
    text: CLONE,
    node: "pve1",
    type: "qmclone",
    id: "9000",
    user: "prov@pve!t0",
    startedMs: 0x6921f0ab * 1000,
  });
});

const TASKS: { why: string; text: string; id: string; type: string }[] = [
  {
    why: "a node that has run for long",
    text: CLONE.replace("00C3D4E5", "1C3D4E5F6"),
    id: "9000",
    type: "qmclone",
  },
  {
    why: "a disk that moves between two VMs",
    text: CLONE.replace("qmclone:9000", "qmmove:47001-unused0>47011-unused0"),
    id: "47001-unused0>47011-unused0",
    type: "qmmove",
  },
  { why: "a task of no VM", text: CLONE.replace("qmclone:9000", "imgcopy:"), id: "", type: "imgcopy" },
];
for (const { why, text, id, type } of TASKS) {
  Deno.test(`parseUpid: ${why}`, () =>
    assert.deepEqual([parseUpid(text)?.id, parseUpid(text)?.type], [id, type]));
}

const NONE: { why: string; text: string }[] = [
  { why: "nothing", text: "" },
  { why: "what the server calls bogus", text: "UPID:bogus" },
  { why: "no end", text: CLONE.slice(0, -1) },
  { why: "more behind it", text: `${CLONE}/../../access` },
  { why: "a node that is a way", text: CLONE.replace("pve1", "../pve1") },
  { why: "numbers that are none", text: CLONE.replace("6921F0AB", "6921F0AG") },
  { why: "a line feed", text: CLONE.replace("9000", "9000\n") },
];
for (const { why, text } of NONE) {
  Deno.test(`parseUpid: refuses ${why}`, () => assert.equal(parseUpid(text), null));
}
