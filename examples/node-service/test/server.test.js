const assert = require("node:assert/strict");
const { once } = require("node:events");
const { after, before, describe, test } = require("node:test");

const { createServer } = require("../server.js");

const server = createServer({ greeting: "Hello", revision: "1234567" });

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

after(() => server.close());

async function get(path) {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}${path}`);
  return [answer.status, await answer.text()];
}

describe("the service", () => {
  test("the world is greeted", async () => {
    assert.deepEqual(await get("/"), [200, "Hello, world!\n"]);
  });

  test("it is healthy and tells its revision", async () => {
    assert.deepEqual(await get("/health"), [200, "ok\n"]);
    assert.deepEqual(await get("/revision"), [200, "1234567\n"]);
  });

  test("other pages do not exist", async () => {
    assert.deepEqual(await get("/toString"), [404, "not found\n"]);
  });
});
