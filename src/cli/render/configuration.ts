/** `wps config show`: YAML that could stand in the file. */
import { Document, isPair, isScalar, isSeq, visit } from "yaml";

/** The configuration as YAML, with where each value comes from behind it. */
export function configurationLines(
  config: Record<string, unknown>,
  origins: Record<string, string>,
): string[] {
  const document = new Document(config);
  visit(document, {
    Pair(_, pair, parents): typeof visit.SKIP | undefined {
      const names = [...parents.filter(isPair), pair].map(({ key }) => String(key));
      const origin = originOf(names, origins);
      if (isSeq(pair.value) && pair.value.items.every(isScalar)) pair.value.flow = true;
      else if (!isScalar(pair.value)) return undefined;
      if (origin !== null) pair.value.comment = ` ${origin}`;
      return visit.SKIP;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false }).trimEnd().split("\n");
}

/** That of the value itself, or of the mapping that came as one. */
function originOf(names: readonly string[], origins: Record<string, string>): string | null {
  for (let length = names.length; length > 0; length--) {
    const origin = origins[names.slice(0, length).join(".")];
    if (origin !== undefined) return origin;
  }
  return null;
}
