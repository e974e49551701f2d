import { ChatOpenAI, OpenAI } from '@langchain/openai';

const url = process.env.WEFT_URL ?? 'http://127.0.0.1:8080';
const options = { model: 'opt-stories', apiKey: 'unused', maxTokens: 20, configuration: { baseURL: `${url}/v1` } };

const llm = new OpenAI({ ...options, temperature: 0 });
console.log(await llm.invoke('Once upon a time'));

const chat = new ChatOpenAI({ ...options, modelKwargs: { seed: 1 } });
for await (const { content } of await chat.stream('Tell me a story.')) process.stdout.write(content);
console.log();
