/** What this program calls itself. */
import manifest from "../deno.json" with { type: "json" };

/** Semantic version, e.g. "0.1.0"; from deno.json, which `deno compile` embeds. */
export const VERSION: string = manifest.version;
