// Compiles events.schema.json in ajv's strict mode and says which of events.json it accepts: node schema.mjs
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";

const complaints = [];
const logger = { log: (...said) => complaints.push(said.join(" ")) };
const ajv = new Ajv({ strict: true, allErrors: true, logger: { ...logger, warn: logger.log, error: logger.log } });
const accepts = ajv.compile(JSON.parse(readFileSync("events.schema.json", "utf8")));
const accepted = JSON.parse(readFileSync("events.json", "utf8")).map((event) => accepts(event));
console.log(JSON.stringify({ complaints, accepted }));
