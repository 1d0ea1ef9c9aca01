// Defect: the code for when its dependency is down was never run, and throws. On node's fetch.
import http from "node:http";

const degraded = process.env.MENDED ? { left: 0 } : undefined;

async function stock() {
  try {
    const answer = await fetch("http://stock/items/42", { signal: AbortSignal.timeout(300) });
    if (!answer.ok) throw new Error(answer.status);
    return await answer.json();
  } catch {
    return { left: degraded.left };
  }
}

http.createServer(async (request, answer) => {
  try {
    answer.end(JSON.stringify({ order: 1, stock: await stock() }));
  } catch (error) {
    answer.writeHead(500).end(String(error));
  }
}).listen(8080);
