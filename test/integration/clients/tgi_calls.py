"""Calls a server with TGI's Python client and prints what came back as JSON. Its argument is the server's URL."""

import json
import sys
import warnings

from text_generation import Client
from text_generation.errors import ValidationError
from text_generation.types import Message

warnings.simplefilter("ignore")
url = sys.argv[1]
client = Client(url)
prompt = "Once upon a time"


def raised(call):
    try:
        call()
    except ValidationError as error:
        return str(error)
    return None


print(
    json.dumps(
        {
            "whole": client.generate(prompt, max_new_tokens=20, decoder_input_details=True, top_n_tokens=2).dict(),
            "events": [event.dict() for event in client.generate_stream(prompt, max_new_tokens=20)],
            "seeded": [client.generate(prompt, do_sample=True, seed=7).generated_text for _ in range(2)],
            "stopped": client.generate(prompt, max_new_tokens=48, stop_sequences=["girl"]).dict(),
            "full_text": client.generate(prompt, return_full_text=True).generated_text,
            "chat": client.chat([Message(role="user", content="Tell me a story.")], max_tokens=12, seed=3).dict(),
            "too_many": raised(lambda: client.generate(prompt, max_new_tokens=100000)),
            "too_many_streamed": raised(lambda: list(client.generate_stream(prompt, max_new_tokens=100000))),
        }
    )
)
