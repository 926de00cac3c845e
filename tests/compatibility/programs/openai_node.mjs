// The openai SDK for Node, chat completions. Usage: node openai_node.mjs BASE_URL KEY MODEL...
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import OpenAI from "openai";

const [base, key, ...models] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0 });
const picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
const weather = {
  type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false,
};
const person = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
const ask = (model, content, more = {}) =>
  client.chat.completions.create({ model, messages: [{ role: "user", content }], ...more });

const cells = {
  plain: async (model) => {
    const answer = await ask(model, "Say hello");
    equal(answer.choices[0].message.content, "Hello from the other side of the gateway!");
    ok(answer.usage.prompt_tokens > 0);
  },
  stream: async (model) => {
    let text = "";
    for await (const chunk of await ask(model, "Say hello", { stream: true })) text += chunk.choices[0]?.delta.content ?? "";
    equal(text, "Hello from the other side of the gateway!");
  },
  "tool loop": async (model) => {
    const seen = [];
    const runner = client.chat.completions.runTools({
      model,
      stream: true,
      messages: [{ role: "user", content: "What is the weather in Paris?" }],
      tools: [{
        type: "function",
        function: { name: "get_weather", parse: JSON.parse, parameters: weather, function: (given) => (seen.push(given), "21 degrees") },
      }],
    });
    equal(await runner.finalContent(), "It is 21 degrees in Paris.");
    deepEqual(seen, [{ city: "Paris" }]);
  },
  structured: async (model) => {
    const response_format = { type: "json_schema", json_schema: { name: "person", schema: person, strict: true } };
    const answer = await ask(model, "Extract the person: Ada is 36 years old.", { response_format });
    deepEqual(JSON.parse(answer.choices[0].message.content), { name: "Ada", age: 36 });
  },
  image: async (model) => {
    const parts = [
      { type: "text", text: "What is in this picture?" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } },
    ];
    equal((await ask(model, parts)).choices[0].message.content, "A red square, as far as I can see.");
  },
  error: async (model) => {
    for (const stream of [false, true]) {
      await rejects(ask(model, "please fail", { stream }), (error) => error.status === 400 && /this was asked for/.test(error.message));
    }
  },
};

for (const model of models) {
  for (const [cell, attempt] of Object.entries(cells)) {
    const why = await attempt(model).then(() => null, (error) => String(error.stack).split("\n").slice(0, 2).join(" "));
    console.log(JSON.stringify({ model, cell, why }));
  }
}
