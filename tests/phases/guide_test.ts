import assert from "node:assert/strict";
import { disk } from "../../src/config/disk.ts";
import { problemLine } from "../../src/config/problem.ts";
import { describeLines, describePhase } from "../../src/phases/describe.ts";
import { expectPhases, loadBuiltIn, loadSite, SITE } from "./site.ts";

const GUIDE = new URL("../../docs/phases.md", import.meta.url);

/** The fenced blocks of one language, without their fences. */
async function blocks(language: string): Promise<string[]> {
  const guide = await disk.read(GUIDE.pathname);
  return [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, text = ""]) =>
    text
  );
}

Deno.test("docs/phases.md: its example is refused in the words that it shows, and works as it says", async () => {
  const [yaml = ""] = await blocks("yaml");
  const [, check = ""] = await blocks("console");
  const { problems } = await loadSite({ "teaching.yaml": yaml });
  const shown = problems.map((problem) => problemLine(problem).replace(SITE, "/etc/wps/phases"));
  assert.deepEqual(check.trim().split("\n").slice(1), shown);
  const phases = expectPhases(await loadSite({ "teaching.yaml": yaml.replace("staff-home", "home") }));
  assert.ok(phases.statuses.has("TEACHING"));
});

Deno.test("docs/phases.md: shows what wps phases show prints", async () => {
  const [show = ""] = await blocks("console");
  const description = describePhase(await loadBuiltIn(), "ANALYSIS_ACTIVE");
  assert.ok(description);
  const [, ...lines] = show.trimEnd().split("\n");
  assert.deepEqual(lines, describeLines(description).slice(0, lines.length));
});
