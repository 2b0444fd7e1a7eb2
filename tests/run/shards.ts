/** Test files that are loaded together: a file of its own loads all modules anew, which takes longer than most tests. */
import { rootFolder } from "./sources.ts";

/**
 * Writes `count` modules, each of which imports its share of the test files, dealt in turn. Out: their paths, in a
 * folder that goes with the result's disposal.
 */
export async function writeShards(
  files: string[],
  count: number,
): Promise<AsyncDisposable & { paths: string[] }> {
  const folder = await Deno.makeTempDir({ prefix: "wps-test-shards-" });
  const shards = dealt(files, count);
  const paths = shards.map((_, nth) => `${folder}/shard_${nth + 1}_test.ts`);
  await Promise.all(shards.map((shard, nth) => {
    const imports = shard.map((file) => `import ${JSON.stringify(`file://${rootFolder()}${file}`)};\n`);
    return Deno.writeTextFile(paths[nth] ?? "", imports.join(""));
  }));
  return { paths, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** Neighbours in a sorted list are alike and take alike long: each goes into another share. None is empty. */
export function dealt(files: string[], count: number): string[][] {
  const shares = Array.from({ length: count }, (_, nth) => files.filter((_, index) => index % count === nth));
  return shares.filter((share) => share.length > 0);
}
