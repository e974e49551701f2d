import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';

const url = process.env.WEFT_URL ?? 'http://127.0.0.1:8080';
const weft = createOpenAICompatible({ name: 'weft', baseURL: `${url}/v1` });
const request = { model: weft('opt-stories'), prompt: 'Tell me a story.', maxOutputTokens: 20, seed: 1 };

const { text } = await generateText(request);
console.log(text);

const { textStream } = streamText(request);
for await (const part of textStream) process.stdout.write(part);
console.log();
