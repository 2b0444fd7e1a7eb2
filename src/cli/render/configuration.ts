/** `wps config show`: YAML that could stand in the file. */
import { Document, isNode, isPair, isScalar, visit } from "yaml";

/** The configuration as YAML, with where each value comes from behind or above it. */
export function configurationLines(
  config: Record<string, unknown>,
  origins: Record<string, string>,
): string[] {
  const document = new Document(config);
  visit(document, {
    Pair(_, pair, parents): void {
      const names = [...parents.filter(isPair), pair].map(({ key }) => String(key));
      const origin = origins[names.join(".")];
      if (origin === undefined) return;
      if (isScalar(pair.value)) pair.value.comment = ` ${origin}`;
      else if (isNode(pair.key)) pair.key.commentBefore = ` ${origin}`;
    },
  });
  return document.toString({ lineWidth: 0 }).trimEnd().split("\n");
}
