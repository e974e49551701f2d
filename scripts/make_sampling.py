"""Makes test/fixtures/sampling/expected.json: what the logits processors of Hugging Face transformers make of random logits.

    pip install torch transformers && python scripts/make_sampling.py

The logits come from a small generator, which test/support/random-logits.ts has too. Presence and frequency penalties, which transformers
does not have, are OpenAI's formula.
"""
import base64, hashlib, json, math
from pathlib import Path

import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper, NoBadWordsLogitsProcessor, PrefixConstrainedLogitsProcessor, RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper,
)

OUT = Path(__file__).resolve().parent.parent / "test" / "fixtures" / "sampling" / "expected.json"
SMALL, LARGE = 997, 50272


class Generator:
    """mulberry32."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        """A number in [0, 1)."""
        self.state = (self.state + 0x6D2B79F5) & 0xFFFFFFFF
        t = self.state
        t = ((t ^ (t >> 15)) * (t | 1)) & 0xFFFFFFFF
        t = (t ^ (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF))) & 0xFFFFFFFF
        return (t ^ (t >> 14)) / 4294967296


def random_logits(seed, vocab, scale, quantum, masked):
    """Roughly normal, of this scale; multiples of `quantum` if it is not 0; -Infinity for the share `masked` of the tokens."""
    generator = Generator(seed)
    logits = []
    for _ in range(vocab):
        value = (generator.next() + generator.next() + generator.next() + generator.next() - 2) * scale
        if quantum > 0:
            value = math.floor(value / quantum) * quantum
        logits.append(-math.inf if generator.next() < masked else value)
    return torch.tensor([logits], dtype=torch.float32)


def adjust(scores, case):
    """The processors, in the order of `_get_logits_processor`; penalties on the output follow the repetition penalty."""
    vocab = scores.shape[-1]
    history = torch.tensor([case["promptTokenIds"] + case["outputTokenIds"]])
    if case["logitBias"]:
        bias = {(token_id,): float(value) for token_id, value in case["logitBias"]}
        scores = SequenceBiasLogitsProcessor(bias)(history, scores)
    if case["repetitionPenalty"] != 1:
        scores = RepetitionPenaltyLogitsProcessor(float(case["repetitionPenalty"]))(history, scores)
    if case["outputTokenIds"]:
        counts = torch.bincount(torch.tensor(case["outputTokenIds"]), minlength=vocab)
        scores = scores - case["frequencyPenalty"] * counts - case["presencePenalty"] * (counts > 0)
    if case["bannedTokenIds"]:
        scores = NoBadWordsLogitsProcessor([[token_id] for token_id in case["bannedTokenIds"]])(history, scores)
    if case["allowedTokenIds"] is not None:
        scores = PrefixConstrainedLogitsProcessor(lambda *_: case["allowedTokenIds"], num_beams=1)(history, scores)
    return scores


def top_p(scores, p):
    """Which of equally likely tokens top-p keeps is left open by torch's sort. Here it is the smaller ids."""
    kept = torch.isfinite(TopPLogitsWarper(p)(None, scores))
    least = scores[kept].min()
    ties = scores == least
    first_ties = ties & (ties.cumsum(-1) <= (ties & kept).sum())
    return scores.masked_fill(~((scores > least) | first_ties), -math.inf)


def is_clear(values, place):
    """Whether the sorted values next to the place differ by more than rounding, or not at all."""
    gaps = [abs(values[i] - values[i + 1]).item() for i in (place - 1, place) if 0 <= i < len(values) - 1]
    return all(gap == 0 or gap > 1e-5 for gap in gaps)


def restrict(scores, case, factor=1.0):
    """The warpers. They get float64, so that the fixture has none of torch's rounding in sums over the vocabulary."""
    if case["temperature"] != 1:
        scores = TemperatureLogitsWarper(float(case["temperature"]))(None, scores)
    scores = scores.double()
    if case["topK"] > 0:
        scores = TopKLogitsWarper(case["topK"])(None, scores)
    if case["topP"] < 1:
        scores = top_p(scores, case["topP"] * factor)
    if case["minP"] > 0:
        scores = MinPLogitsWarper(case["minP"] * factor)(None, scores)
    if case["typicalP"] < 1:
        before = scores
        scores = TypicalLogitsWarper(case["typicalP"] * factor)(None, scores)
        normalized = before[torch.isfinite(before)].log_softmax(-1)
        surprise = (-normalized + (normalized.exp() * normalized).sum()).abs().sort().values
        if not is_clear(surprise, int(torch.isfinite(scores).sum()) - 1):
            return None
    return torch.isfinite(scores[0])


def expected(case):
    """None if rounding could decide what is kept."""
    logits = random_logits(case["seed"], case["vocabSize"], case["scale"], case["quantum"], case["masked"])
    adjusted = adjust(logits, case)
    kept, fewer, more = (restrict(adjusted, case, factor) for factor in (1.0, 1 - 1e-6, 1 + 1e-6))
    if any(each is None for each in (kept, fewer, more)) or not (torch.equal(kept, fewer) and torch.equal(kept, more)):
        return None
    bits = bytearray((case["vocabSize"] + 7) // 8)
    for token_id in kept.nonzero().flatten().tolist():
        bits[token_id // 8] |= 1 << token_id % 8
    changed = (adjusted != logits)[0] & torch.isfinite(adjusted[0])
    return {
        "numKept": int(kept.sum()),
        "kept": base64.b64encode(bits).decode() if case["vocabSize"] == SMALL else hashlib.sha256(bits).hexdigest(),
        "adjusted": [[token_id, adjusted[0, token_id].item()] for token_id in changed.nonzero().flatten().tolist()][:60],
    }


DEFAULTS = dict(
    scale=3, quantum=0, masked=0, temperature=1, topK=0, topP=1, minP=0, typicalP=1, repetitionPenalty=1, presencePenalty=0,
    frequencyPenalty=0, logitBias=[], bannedTokenIds=[], allowedTokenIds=None, promptTokenIds=[], outputTokenIds=[],
)
HISTORY = dict(promptTokenIds=[5, 9, 9, 300, 12], outputTokenIds=[7, 9, 7, 7, 41, 900, 41])
MASKS = dict(bannedTokenIds=[2, 7, 500], logitBias=[[3, 5], [9, -100], [12, 100], [41, -0.75]])
EVERYTHING = dict(
    temperature=0.7, topK=200, topP=0.95, minP=0.001, typicalP=0.9, repetitionPenalty=1.2, presencePenalty=0.4, frequencyPenalty=-0.3,
    **HISTORY, **MASKS,
)


def changes():
    """The cases of the small vocabulary."""
    shapes = [dict(), dict(scale=0.3), dict(scale=12), dict(quantum=0.5), dict(quantum=1.5), dict(masked=0.7), dict(quantum=0.5, masked=0.3)]
    for shape in shapes:
        for stage in [dict(topK=1), dict(topK=40), dict(topK=5000), dict(topP=0.1), dict(topP=0.9), dict(minP=0.05), dict(minP=0.5),
                      dict(typicalP=0.2), dict(typicalP=0.9), dict(topK=100, topP=0.8), dict(topP=0.9, minP=0.1),
                      dict(topK=300, topP=0.95, minP=0.02, typicalP=0.8)]:
            yield {**shape, **stage}
    for temperature in (0.01, 0.2, 2, 100):
        yield dict(temperature=temperature, topP=0.9)
        yield dict(temperature=temperature, typicalP=0.5, topK=500)
    for penalty in [dict(repetitionPenalty=1.3), dict(repetitionPenalty=0.8), dict(presencePenalty=1.5), dict(presencePenalty=-2),
                    dict(frequencyPenalty=0.6), dict(frequencyPenalty=-0.6, presencePenalty=0.2)]:
        yield dict(**HISTORY, **penalty)
        yield dict(**HISTORY, **penalty, masked=0.5, topP=0.7)
    yield MASKS
    yield dict(allowedTokenIds=[4, 8, 15, 16, 23, 42])
    yield dict(allowedTokenIds=[7, 8, 41, 990], **HISTORY, **MASKS, repetitionPenalty=1.1, topP=0.9)
    for shape in shapes:
        yield {**EVERYTHING, **shape}


def cases():
    for change in changes():
        yield {**DEFAULTS, "vocabSize": SMALL, **change}
    for change in [dict(topP=0.9), dict(scale=0.5, topP=0.95), dict(topK=1000), dict(minP=0.02), dict(typicalP=0.9), EVERYTHING]:
        yield {**DEFAULTS, "vocabSize": LARGE, **change}


found = []
for case in cases():
    seed = len(found) + 1
    while (result := expected({**case, "seed": seed})) is None:
        seed += 1000
    # Only what differs from the defaults, which the test has too.
    found.append({k: v for k, v in {**case, "seed": seed}.items() if v != DEFAULTS.get(k)} | {"expected": result})
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in found) + "\n]\n")
print(f"{len(found)} cases, {OUT.stat().st_size} bytes")
