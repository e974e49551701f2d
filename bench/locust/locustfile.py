"""The scenario of bench/k6/generate.js, for Locust:

locust -f bench/locust/locustfile.py --headless -u 40 -r 40 -t 20s --host http://127.0.0.1:8080 --csv OUT/locust --csv-full-history
"""

import itertools
import json
import pathlib

from locust import HttpUser, constant, task

PROMPTS = json.loads((pathlib.Path(__file__).parent / "../prompts.json").read_text())
NEW_TOKENS = 10
numbers = itertools.count()


class User(HttpUser):
    wait_time = constant(0)

    @task
    def generate(self):
        prompt = PROMPTS[next(numbers) % len(PROMPTS)]
        body = {"prompt": prompt, "max_new_tokens": NEW_TOKENS, "ignore_eos": True}
        with self.client.post("/generate", json=body, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
                return
            tokens = response.json()["usage"]["completion_tokens"]
            if tokens != NEW_TOKENS:
                response.failure(f"{tokens} tokens")
