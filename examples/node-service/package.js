// Write down what this release is. Values arrive as variables, never as shell text.
const fs = require("node:fs");

const { GREETING = "Hello", REVISION = "draft" } = process.env;
fs.writeFileSync("release.json", JSON.stringify({ greeting: GREETING, revision: REVISION }));
