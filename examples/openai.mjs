import OpenAI from 'openai';

const url = process.env.WEFT_URL ?? 'http://127.0.0.1:8080';
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused' });

const completion = await client.completions.create({
  model: 'opt-stories',
  prompt: 'Once upon a time',
  max_tokens: 20,
  temperature: 0,
});
console.log(completion.choices[0].text);

const stream = await client.chat.completions.create({
  model: 'opt-stories',
  messages: [{ role: 'user', content: 'Tell me a story.' }],
  max_completion_tokens: 20,
  seed: 1,
  stream: true,
});
for await (const { choices } of stream) process.stdout.write(choices[0].delta.content ?? '');
console.log();
