import { InferenceClient } from '@huggingface/inference';

const url = process.env.WEFT_URL ?? 'http://127.0.0.1:8080';
const client = new InferenceClient().endpoint(url);

const reply = await client.textGeneration({
  model: 'opt-stories',
  inputs: 'Once upon a time',
  parameters: { max_new_tokens: 20, temperature: 0 },
});
console.log(reply.generated_text);

const stream = client.chatCompletionStream({
  model: 'opt-stories',
  messages: [{ role: 'user', content: 'Tell me a story.' }],
  max_tokens: 20,
  seed: 1,
});
for await (const { choices } of stream) process.stdout.write(choices[0].delta.content ?? '');
console.log();
