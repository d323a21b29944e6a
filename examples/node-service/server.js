// A service that greets, tells its revision, and ends without breaking a request.
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");

const DRAFT = { greeting: "Hello", revision: "draft" };

function release() {
  const file = path.join(__dirname, "release.json");
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : DRAFT;
}

function createServer({ greeting, revision } = release()) {
  const pages = {
    "/": () => `${greeting}, world!\n`,
    "/health": () => "ok\n",
    "/revision": () => `${revision}\n`,
  };
  return http.createServer((request, response) => {
    const page = Object.hasOwn(pages, request.url) ? pages[request.url] : undefined;
    response.writeHead(page ? 200 : 404, { "Content-Type": "text/plain" });
    response.end(page ? page() : "not found\n");
  });
}

if (require.main === module) {
  const server = createServer();
  server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? "127.0.0.1");
  process.on("SIGTERM", () => server.close());
}

module.exports = { createServer };
