// Writes each dashboard as a TypeScript literal: only of a literal does the compiler say that a property is unknown, and
// only there is a text the text itself and not just any.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const dashboards = new URL("../", import.meta.url);
const literals = new URL("literals/", import.meta.url);

rmSync(literals, { recursive: true, force: true });
mkdirSync(literals);
for (const file of readdirSync(dashboards).filter((name) => name.endsWith(".json"))) {
  const text = readFileSync(new URL(file, dashboards), "utf8");
  const code = `import type { Expected } from "../expected.js";\n\nexport const dashboard: Expected = ${text.trim()};\n`;
  writeFileSync(new URL(file.replace(/json$/, "ts"), literals), code);
}
