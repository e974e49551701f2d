"""Makes test/fixtures/chat/expected.json: what Hugging Face's transformers renders with the chat templates of the folders next to it.

    pip install transformers jinja2 && python scripts/make_chat_templates.py
"""
import json, shutil, tempfile
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

FOLDER = Path(__file__).resolve().parent.parent / "test" / "fixtures" / "chat"


def message(role, content, **more):
    return dict(role=role, content=content, **more)


QUESTION = message("user", "What is a weft?")
ANSWER = message("assistant", "The thread that goes\nacross.")
CHATS = dict(
    question=[QUESTION],
    system=[message("system", "Be brief."), QUESTION],
    turns=[QUESTION, ANSWER, message("user", "Thanks!")],
    system_turns=[message("system", " Be brief. "), QUESTION, ANSWER, message("user", "And a warp?")],
    late_system=[QUESTION, ANSWER, message("system", "Be long."), message("user", "Why?")],
    spaces=[message("user", "  \n around \t\n"), message("assistant", "  yes  "), message("user", "\n")],
    characters=[message("user", "🦉 é 漢字 \u200b \\n \" ' <b>&amp;</b> {{ messages }} {% raw %} {# no #}")],
    special=[message("user", "</s><|im_end|><s>[INST]<|eot_id|>")],
    empty=[message("user", "")],
    null=[QUESTION, message("assistant", None), message("user", "Hello?")],
    twice=[QUESTION, QUESTION],
    assistant_first=[ANSWER, QUESTION],
    unknown_role=[message("critic", "Hm.")],
    tool=[QUESTION, ANSWER, message("tool", "42"), message("tool", "43")],
    named=[message("user", "I am Ada.", name="ada lovelace")],
    thought=[QUESTION, message("assistant", "<think>\nthread?\n</think>\n\nA thread."), message("user", "Sure?")],
    prefix=[QUESTION, message("assistant", "It is a")],
    prefix_space=[QUESTION, message("assistant", "It is a ")],
    prefix_twice=[message("user", "It is"), message("assistant", "It is")],
)
# Of every case, so that no template asks for the date.
VARIABLES = dict(date_string="26 Nov 2026")
# Beyond one prompt per chat with and without the beginning of an answer.
FURTHER = [
    *(dict(chat=chat, add_generation_prompt=False, continue_final_message=True)
      for chat in ("prefix", "prefix_space", "prefix_twice", "question", "spaces", "empty", "thought", "null")),
    dict(chat="null", add_generation_prompt=False, continue_final_message=True, upto=2),
    dict(chat="system", variables=dict(bos_token="<other>", enable_thinking=False, date_string="1 May 2026")),
    dict(chat="turns", variables=dict(tools=[dict(name="é", parameters=dict(a=[1, 2.5, None, True]))])),
    dict(chat="turns", variables=dict(documents=[dict(text="one"), dict(text="two")]), template="rag"),
    dict(chat="turns", template="short"),
    dict(chat="turns", template="{{ messages[0].content }}{{ '!' if add_generation_prompt }}"),
]


def cases():
    for chat in CHATS:
        for add_generation_prompt in (True, False):
            yield dict(chat=chat, add_generation_prompt=add_generation_prompt)
    yield from FURTHER


def tokenizer_of(folder):
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        Tokenizer(WordLevel({"a": 0}, unk_token="a")).save(str(Path(copy) / "tokenizer.json"))
        return PreTrainedTokenizerFast.from_pretrained(copy)


def render(tokenizer, chat, add_generation_prompt=True, continue_final_message=False, upto=None, variables={}, template=None):
    try:
        return tokenizer.apply_chat_template(
            CHATS[chat][:upto], chat_template=template, add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message, tokenize=False, **{**VARIABLES, **variables})
    except Exception:
        return None


if __name__ == "__main__":
    folders = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
    prompts = {}
    for folder in folders:
        tokenizer = tokenizer_of(FOLDER / folder)
        prompts[folder] = [render(tokenizer, **case) for case in cases()]
    expected = dict(source="Hugging Face transformers; null where it raises an error", variables=VARIABLES,
                    chats=CHATS, cases=list(cases()), prompts=prompts)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
