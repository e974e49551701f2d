"""Calls a server with the client of huggingface_hub and prints what came back as JSON. Its argument is the server's URL."""

import json
import sys

from huggingface_hub import InferenceClient
from huggingface_hub.errors import ValidationError

client = InferenceClient(sys.argv[1])
prompt = "Once upon a time"


def raised(call):
    try:
        call()
    except ValidationError as error:
        return str(error)
    return None


chat = {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": 12, "seed": 3}
print(
    json.dumps(
        {
            "text": client.text_generation(prompt, max_new_tokens=20),
            "parts": list(client.text_generation(prompt, max_new_tokens=20, stream=True)),
            "details": client.text_generation(prompt, max_new_tokens=20, details=True),
            "events": list(client.text_generation(prompt, max_new_tokens=20, details=True, stream=True)),
            "seeded": [client.text_generation(prompt, do_sample=True, seed=7) for _ in range(2)],
            "chat": client.chat_completion(**chat).choices[0].message.content,
            "chat_parts": [
                chunk.choices[0].delta.content or "" for chunk in client.chat_completion(**chat, stream=True)
            ],
            "too_many": raised(lambda: client.text_generation(prompt, max_new_tokens=100000)),
        }
    )
)
