"""Makes test/fixtures/added-tokens/expected.json: random sets of added tokens, and what Hugging Face's tokenizers finds in random texts.

    pip install tokenizers && python scripts/make_added_tokens.py
"""
import json, random
from pathlib import Path

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

OUT = Path(__file__).resolve().parent.parent / "test" / "fixtures" / "added-tokens" / "expected.json"
NUM_SETS, NUM_TEXTS = 40, 16
# Letters, marks and digits of several kinds; white space of one, two and three bytes; U+FEFF, which is not white space.
UNITS = [*"aab<>m_ 1é²", "<m>", "  ", "\n", "\n\n", "\t", "\x85", "\ufeff", "\u3000", "\xa0", "🦉", "\u0301", "‿", "\u200d", "Ⅷ"]
MASK = dict(content="<mask>", single_word=False, lstrip=True, rstrip=False, normalized=False, special=True)


def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def tokenizer_with(tokens, add_prefix_space):
    vocab = {char: byte for byte, char in enumerate(byte_alphabet())}
    merges = [("Ġ", "Ġ"), ("Ċ", "Ċ"), ("Ġ", "a")]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.add_tokens([AddedToken(**token) for token in tokens])
    return tokenizer


def random_tokens(rng):
    contents = {"".join(rng.choices(UNITS, k=rng.randint(1, 3))) for _ in range(rng.randint(1, 6))}
    flags = dict(single_word=0.25, lstrip=0.3, rstrip=0.3, normalized=0.3, special=0.5)
    # A single byte is in the vocabulary already: as an added token it would keep its id.
    return [dict(content=content, **{flag: rng.random() < chance for flag, chance in flags.items()})
            for content in sorted(contents) if len(content.encode()) > 1]


def make_set(rng, tokens):
    add_prefix_space = rng.random() < 0.3
    tokenizer = tokenizer_with(tokens, add_prefix_space)
    cases = []
    while len(cases) < NUM_TEXTS:
        pieces = UNITS + 4 * [token["content"] for token in tokens]
        text = "".join(rng.choices(pieces, k=rng.randint(0, 14)))
        try:
            cases.append(dict(text=text, ids=tokenizer.encode(text, add_special_tokens=False).ids))
        except BaseException:  # tokenizers panics if two tokens absorb the same white space
            continue
    added = [dict(id=tokenizer.token_to_id(token["content"]), **token) for token in tokens]
    return dict(added_tokens=added, add_prefix_space=add_prefix_space, cases=cases)


if __name__ == "__main__":
    rng = random.Random(1)
    sets = [make_set(rng, [MASK]), make_set(rng, [{**MASK, "rstrip": True}])]
    sets += [make_set(rng, random_tokens(rng)) for _ in range(NUM_SETS - len(sets))]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    source = "Hugging Face tokenizers, scripts/make_added_tokens.py; a byte's id is the byte"
    merges = json.loads(tokenizer_with([], False).to_str())["model"]["merges"]
    lines = ",\n".join(json.dumps(a_set, ensure_ascii=True) for a_set in sets)
    OUT.write_text(f'{{"source": {json.dumps(source)},\n"merges": {json.dumps(merges)},\n"sets": [\n{lines}\n]}}\n')
    print(OUT, len(sets), "sets")
