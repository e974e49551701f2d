"""Hugging Face transformers or CTranslate2 behind a static batcher: up to 50 requests, or 100 ms after the oldest one arrived.

POST /generate takes {"prompt": [ids], "max_new_tokens": n} and returns {"token_ids": [...]}. Every row is computed until the longest ends.
"""

import argparse
import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

parser = argparse.ArgumentParser()
parser.add_argument("--engine", choices=["transformers", "ctranslate2"], required=True)
parser.add_argument("--model", required=True, help="model folder, in the format of the engine")
parser.add_argument("--tokenizer", help="tokenizer folder, for CTranslate2")
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--max-batch-size", type=int, default=50, help="1 is the naive server")
parser.add_argument("--timeout-ms", type=float, default=100)
args = parser.parse_args()


class Request(BaseModel, extra="ignore"):
    prompt: list[int]
    max_new_tokens: int = 10


def transformers_engine():
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None

    def run(requests):
        width = max(len(r.prompt) for r in requests)
        longest = max(r.max_new_tokens for r in requests)
        ids = torch.tensor([[1] * (width - len(r.prompt)) + r.prompt for r in requests])
        mask = torch.tensor([[0] * (width - len(r.prompt)) + [1] * len(r.prompt) for r in requests])
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=longest, do_sample=False
            )
        return output[:, width:].tolist()

    return run


def ctranslate2_engine():
    import ctranslate2
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    generator = ctranslate2.Generator(args.model, device="cpu", inter_threads=1, intra_threads=args.threads)

    def run(requests):
        longest = max(r.max_new_tokens for r in requests)
        prompts = [tokenizer.convert_ids_to_tokens(r.prompt) for r in requests]
        results = generator.generate_batch(
            prompts,
            max_length=longest,
            min_length=longest,
            beam_size=1,
            sampling_topk=1,
            include_prompt_in_result=False,
        )
        return [result.sequences_ids[0] for result in results]

    return run


run_batch = transformers_engine() if args.engine == "transformers" else ctranslate2_engine()
queue = asyncio.Queue()


async def collect():
    """Waits for a first request and adds others until the batch is full or the first has waited long enough."""
    batch = [await queue.get()]
    deadline = batch[0][2] + args.timeout_ms / 1000
    while len(batch) < args.max_batch_size:
        if not queue.empty():
            batch.append(queue.get_nowait())
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            batch.append(await asyncio.wait_for(queue.get(), left))
        except asyncio.TimeoutError:
            break
    return batch


async def serve_batches():
    executor = ThreadPoolExecutor(1)
    while True:
        batch = await collect()
        try:
            results = await asyncio.get_running_loop().run_in_executor(executor, run_batch, [r for r, _, _ in batch])
            for (request, future, _), tokens in zip(batch, results):
                if not future.done():
                    future.set_result(tokens[: request.max_new_tokens])
        except Exception as error:
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(error)


@asynccontextmanager
async def lifespan(_):
    task = asyncio.create_task(serve_batches())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def ready():
    return {}


@app.post("/generate")
async def generate(request: Request):
    future = asyncio.get_running_loop().create_future()
    await queue.put((request, future, time.monotonic()))
    return {"token_ids": await future}


uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning")
