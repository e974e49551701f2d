import os

from huggingface_hub import InferenceClient

client = InferenceClient(os.environ.get("WEFT_URL", "http://127.0.0.1:8080"))

print(client.text_generation("Once upon a time", max_new_tokens=20))

for text in client.text_generation("Once upon a time", max_new_tokens=20, stream=True):
    print(text, end="", flush=True)
print()
