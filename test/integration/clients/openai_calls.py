"""Calls a server with OpenAI's Python package and prints what came back as JSON. Arguments: the server's URL and a request as JSON."""

import json
import sys

import openai

url, request = sys.argv[1], json.loads(sys.argv[2])
client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


def raised(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {
            "class": type(error).__name__,
            "status": error.status_code,
            "param": error.param,
            "code": error.code,
            "request_id": error.request_id,
        }
    return None


def left_early():
    with client.completions.create(**request, stream=True) as stream:
        return next(iter(stream)).choices[0].text


messages = [{"role": "user", "content": "Tell me a story."}]
chat = {"model": request["model"], "messages": messages, "max_completion_tokens": 12, "seed": 3}
results = {
    "completion": client.completions.create(**request).model_dump(),
    "chunks": [
        chunk.model_dump()
        for chunk in client.completions.create(**request, stream=True, stream_options={"include_usage": True})
    ],
    "logprobs": client.completions.create(**request, logprobs=2).choices[0].logprobs.model_dump(),
    "seeded": [
        [choice.text for choice in client.completions.create(**{**request, "temperature": 1}, n=3, seed=7).choices]
        for _ in range(2)
    ],
    "stopped": client.completions.create(**request, stop=["girl"]).choices[0].model_dump(),
    "extra": client.completions.create(**request, extra_body={"top_k": 1, "return_token_ids": True}).choices[0].model_dump(),
    "chat": client.chat.completions.create(**chat).choices[0].message.content,
    "chat_chunks": [
        chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**chat, stream=True)
    ],
    "models": [model.id for model in client.models.list()],
    "model": client.models.retrieve(request["model"]).id,
    "bad_request": raised(lambda: client.completions.create(**request, n=51)),
    "unknown_model": raised(lambda: client.completions.create(**{**request, "model": "gpt-4"})),
    "left_early": left_early(),
}
print(json.dumps(results))
