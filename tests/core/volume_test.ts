import assert from "node:assert/strict";
import fc from "fast-check";
import { parseVolumeKey, type VolumeId, volumeKey } from "../../src/core/volume.ts";

const CASES: [VolumeId, string][] = [
  [{ volume: "prepared", owner: null, generation: 1 }, "prepared"],
  [{ volume: "project", owner: null, generation: 3 }, "project@3"],
  [{ volume: "home", owner: "j.virtanen", generation: 1 }, "home/j.virtanen"],
  [{ volume: "uploads", owner: "hospital-a", generation: 2 }, "uploads/hospital-a@2"],
  [
    { volume: "staff-home", owner: "preprocessing/m.keller", generation: 1 },
    "staff-home/preprocessing/m.keller",
  ],
];

Deno.test("volumeKey: readable, the generation shows from the second on", () => {
  for (const [id, key] of CASES) assert.equal(volumeKey(id), key);
});

Deno.test("parseVolumeKey: the inverse", () => {
  for (const [id, key] of CASES) assert.deepEqual(parseVolumeKey(key), id);
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
  const owner = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,30}$/);
  const generations = fc.integer({ min: 1, max: 10_000 });
  fc.assert(fc.property(name, fc.option(owner), generations, (volume, owner, generation) => {
    assert.deepEqual(parseVolumeKey(volumeKey({ volume, owner, generation })), { volume, owner, generation });
  }));
});
