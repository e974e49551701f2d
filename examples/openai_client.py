import os

from openai import OpenAI

url = os.environ.get("WEFT_URL", "http://127.0.0.1:8080")
client = OpenAI(base_url=f"{url}/v1", api_key="unused")

completion = client.completions.create(
    model="opt-stories", prompt="Once upon a time", max_tokens=20, temperature=0
)
print(completion.choices[0].text)

stream = client.chat.completions.create(
    model="opt-stories",
    messages=[{"role": "user", "content": "Tell me a story."}],
    max_completion_tokens=20,
    seed=1,
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
